"""What deploys only compute: from the catalog, and what facts say of a host, to what it should have.

Nothing here asks a host or changes it; facts/ and operations/ do.
"""

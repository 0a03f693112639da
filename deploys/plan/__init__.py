"""Pure planning: compute a host's desired state from the catalog and facts.

Nothing here contacts or changes a host; facts/ and operations/ do.
"""

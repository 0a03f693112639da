"""What the modes share that look up frontends (address, protocol, port) in maps of nftables.

A frontend leads to a handle (handle.py), which says by which pool and how an endpoint is chosen.
"""

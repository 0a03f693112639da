"""Shared code of the modes that look up frontends (address, protocol, port) in nftables maps.

A frontend maps to a handle (handle.py), which names the pool and how to choose an endpoint from it.
"""

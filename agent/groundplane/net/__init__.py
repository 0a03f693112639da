"""Addresses, names, ports and protocols, as they are on the wire: what every other step speaks of. Pure."""

"""Addresses, names, ports and protocols as on the wire; all other packages use them. Pure."""

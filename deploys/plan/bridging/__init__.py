"""Bridges of a hypervisor, made out of the NIC that its own network is on, without losing it."""

"""Bridges of a hypervisor on the NIC of its own network, without losing the connection."""

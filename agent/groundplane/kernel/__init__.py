"""Kernel access shared by dataplanes: netlink, nf_tables, and our names and numbers in it."""

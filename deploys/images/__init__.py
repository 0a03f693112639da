"""Disk images that VMs begin as: built from Debian's packages, or fetched and proved."""

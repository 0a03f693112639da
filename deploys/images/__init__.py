"""Base images of VMs: built from Debian packages, or downloaded and verified."""

"""The compiled site: what a node's agent works from, and no document any more. Pure."""

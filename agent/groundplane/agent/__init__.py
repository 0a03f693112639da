"""The agent: on each node, keeps kernel and zones what the catalog says. See `loop`."""

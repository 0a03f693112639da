"""Facts of our own: what to ask a host, and how to read its answer."""

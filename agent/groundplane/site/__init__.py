"""The compiled site: the input of a node's agent, independent of documents. Pure."""

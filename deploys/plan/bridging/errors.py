"""Errors that prevent a host's bridges."""


class BridgeError(Exception):
    """The network of a host cannot be changed as declared; the text says what is in the way."""

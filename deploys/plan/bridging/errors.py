"""What keeps a host from having its bridges."""


class BridgeError(Exception):
    """The network of a host cannot be changed as declared; the text says what is in the way."""

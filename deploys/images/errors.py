"""Errors about images."""


class ImageError(Exception):
    """An image is not available as declared; the text says which one and why."""

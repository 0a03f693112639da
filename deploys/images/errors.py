"""What goes wrong with images."""


class ImageError(Exception):
    """An image cannot be had as it is declared; the text says which one and why."""

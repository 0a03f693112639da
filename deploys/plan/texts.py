"""Bytes of a file as text and back: each byte is kept, in whatever encoding the file is."""


def decoded(content: bytes) -> str:
    """Return the text of a file, with the line ends that it has."""
    return content.decode(errors="surrogateescape")


def encoded(text: str) -> bytes:
    """Return the bytes that `decoded` made *text* of."""
    return text.encode(errors="surrogateescape")

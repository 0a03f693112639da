"""Reading the XML that libvirt prints."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

__all__ = ["Element", "attribute", "parse"]


def parse(xml: str) -> Element:
    """Return the root of what libvirtd printed, which wrote it itself after it had checked it."""
    return ElementTree.fromstring(xml)  # noqa: S314


def attribute(parent: Element, path: str, name: str) -> str:
    """Return the attribute *name* of the first child on *path*, or ""."""
    child = parent.find(path)
    return "" if child is None else child.get(name, "")

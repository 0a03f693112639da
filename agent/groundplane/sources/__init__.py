"""Sources: where the catalog comes from."""

from groundplane.sources.content import Content, Source

__all__ = ["Content", "Source"]

"""Debian from nothing: where its archive is, and a tree of directories made from it."""

"""Bootstrapping Debian: find an archive, and create a directory tree from it."""

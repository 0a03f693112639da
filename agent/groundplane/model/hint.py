"""Hints for names that are nearly right."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the one of *names* that *name* was probably meant to be, or ""."""
    lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return lower[close[0]] if close else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "…"?` for the nearest of *names*, or ""."""
    close = nearest(name, names)
    return f'; did you mean "{close}"?' if close else ""

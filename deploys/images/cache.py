"""The image cache on the machine that deploys."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return images/ in $GROUNDPLANE_CACHE or /var/cache/groundplane."""
    return Path(os.environ.get("GROUNDPLANE_CACHE", "/var/cache/groundplane")) / "images"

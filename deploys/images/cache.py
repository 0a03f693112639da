"""Where images are kept on the machine that deploys."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return $GROUNDPLANE_CACHE, or /var/cache/groundplane, and there images."""
    return Path(os.environ.get("GROUNDPLANE_CACHE", "/var/cache/groundplane")) / "images"

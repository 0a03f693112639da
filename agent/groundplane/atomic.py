"""Files that are whole, whatever happens while they are written."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Replace *path* by *content*: after a crash or a full disk it is the old or the new, whole."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise

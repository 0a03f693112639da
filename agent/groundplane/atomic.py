"""Files that are whole, whatever happens while they are written."""

import os
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomically(path: Path, content: bytes, mode: int | None = None) -> None:
    """Replace *path* by *content*: after a crash or a full disk it is the old or the new, whole.

    *mode* is the file's, whatever the umask says; without one the umask decides.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)  # of a dead process, or a link that somebody planted
        with open(os.open(temporary, _FLAGS, 0o666 if mode is None else 0o600), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise

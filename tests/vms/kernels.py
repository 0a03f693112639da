"""Kernels of Debian's archive, for guests: each taken once, and kept beside the images of VMs."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from groundplane_deploys.images.cache import cache_directory
from groundplane_deploys.locks import lock_file
from groundplane_deploys.process import run


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return the directory *name* of the cache; *make* fills it where there is none."""
    cache = cache_directory().with_name("kernels")
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / name
    with lock_file(cache / "lock", "another download of a kernel"):
        if not made.is_dir():
            new = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
            try:
                make(new)
                new.chmod(0o755)
                new.rename(made)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    return made


def unpack(package: str, directory: Path) -> None:
    """Put the files of a package of Debian's archive below *directory*."""
    subprocess.run(
        ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package],
        cwd=directory,
        check=True,
    )
    (archive,) = directory.glob("*.deb")
    run(["dpkg", "-x", str(archive), str(directory)])
    archive.unlink()

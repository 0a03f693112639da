"""The wheels that a node's agent is installed from: one set per Python version and architecture.

They come from the lock file with their hashes, and are kept in .cache, so that a second deploy
downloads nothing. The nodes need no network and no compiler.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from groundplane_deploys.catalog import IS_CHECKOUT, KEPT, ROOT
from groundplane_deploys.locks import lock_file
from groundplane_deploys.own_wheel import installed_files, repack

_CACHE = KEPT / "wheels"
# With uv.lock and pyproject.toml: what is installed has copies of them.
_LOCKED = ROOT if IS_CHECKOUT else Path(__file__).parent / "locked"
# The tags that pip accepts on a machine with glibc 2.28 or newer: every target has that.
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1")


@dataclass(frozen=True)
class Wheelhouse:
    """A directory of wheels with requirements.txt, which lists each with its hash."""

    directory: Path
    digest: str

    @property
    def pip(self) -> str:
        """The file name of pip's own wheel, which can be run as it is."""
        return next(path.name for path in self.directory.glob("pip-*.whl"))


class WheelhouseError(Exception):
    """Wheels could not be built or downloaded; the text is the tool's."""


@cache
def wheelhouse_for(python: str, machine: str) -> Wheelhouse:
    """Return the wheels for *python* ("3.11") on *machine* (as uname -m says)."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    sources = _sources(ROOT) if IS_CHECKOUT else installed_files()
    made = _CACHE / f"of-{_digest_of(sources, python, machine)}"
    with lock_file(_CACHE / "lock", "another deploy that makes wheels"):
        if not made.is_file() or not (_CACHE / made.read_text()).is_dir():
            made.write_text(_make(python, machine))
        digest = made.read_text()
    return Wheelhouse(_CACHE / digest, digest)


def _make(python: str, machine: str) -> str:
    """Make the directory, unless it is there; return its name."""
    requirements = _locked()
    with tempfile.TemporaryDirectory() as built:
        wheel = _own_wheel(Path(built))
        own = f"groundplane=={wheel.name.split('-')[1]} --hash=sha256:{_digest(wheel)}\n"
        text = requirements + own
        digest = hashlib.sha256(f"{python} {machine}\n{text}".encode()).hexdigest()[:12]
        directory = _CACHE / digest
        if not directory.is_dir():
            new = directory.with_name(f"{digest}.new")
            # pip comes along to be run, and is not installed: half of all files would be its own.
            _download(new, _locked("--group=install"), python, machine)
            shutil.copy(wheel, new)
            (new / "requirements.txt").write_text(text)
            new.rename(directory)
    return digest


def _digest_of(sources: Iterable[tuple[str, Path]], python: str, machine: str) -> str:
    """Return a digest of all that decides what the wheels are: to build one takes a second."""
    total = hashlib.sha256(f"{python} {machine}".encode())
    for name, path in sorted(sources):
        total.update(f"\n{name} {_digest(path)}".encode())
    return total.hexdigest()[:12]


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        yield name, root / name
    for tree in ("agent/groundplane", "deploys", "templates"):
        for path in (root / tree).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                yield str(path.relative_to(root)), path


def _locked(*more: str) -> str:
    """Return what the agent needs, and *more* groups, as pip's requirements with their hashes."""
    # What is installed has no sources, by which uv would see whether the lock is up to date.
    checked = "--locked" if IS_CHECKOUT else "--frozen"
    return _run([*_uv(), "export", "--quiet", checked, f"--project={_LOCKED}",
                 "--no-default-groups", *more,
                 "--no-emit-project", "--no-header", "--format=requirements-txt"])  # fmt: skip


def _download(directory: Path, requirements: str, python: str, machine: str) -> None:
    print(f"wheels: downloading for Python {python} on {machine}", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    listed = directory / "requirements.txt"
    listed.write_text(requirements)
    platforms = [f"--platform={tag}_{machine}" for tag in _PLATFORMS]
    _run([sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
          "--require-hashes", "--only-binary=:all:", f"--python-version={python}",
          "--implementation=cp", *platforms, f"--dest={directory}", f"--requirement={listed}"])  # fmt: skip


def _own_wheel(out: Path) -> Path:
    if not IS_CHECKOUT:
        return repack(out)
    _run(
        [
            *_uv(),
            "build",
            "--quiet",
            "--offline",
            "--no-build-isolation",
            "--wheel",
            "--out-dir",
            str(out),
        ]
    )
    return next(out.glob("groundplane-*.whl"))


def _uv() -> list[str]:
    bundled = ROOT / ".cache" / "uv" / "bin" / "uv"
    beside = Path(sys.executable).with_name("uv")
    found = shutil.which("uv") or next((str(e) for e in (bundled, beside) if e.exists()), None)
    if found is None:
        how = "`make setup` does that" if IS_CHECKOUT else "install groundplane[deploy]"
        raise WheelhouseError(f"uv is not installed; {how}")
    return [found]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    if done.returncode:
        raise WheelhouseError(f"{' '.join(command[:4])} …: {done.stderr.strip()}")
    return done.stdout

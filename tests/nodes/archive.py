"""A Debian archive of a node's own: tiny packages in the versions that a test wants there to be."""

import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from groundplane_deploys.lab.disk import root_of
from tests.nodes.conftest import Deployed

_WHERE = "/opt/lab/archive"
_KEPT = "/opt/lab/apt.kept"
_KNOWN = "/var/lib/apt/lists/* /var/lib/apt/periodic/update-success-stamp"


@dataclass(frozen=True)
class Package:
    """A package of one version, with other fields of its control file, and configuration files."""

    name: str
    version: str
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def control(self) -> str:
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "all",
            "Maintainer": "nobody <nobody@example.test>",
            "Description": "nothing",
            **self.fields,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())

    def build(self, file: Path) -> None:
        with TemporaryDirectory() as name:
            tree = Path(name)
            tree.chmod(0o755)
            for path, text in {
                **self.files,
                "DEBIAN/control": self.control,
                "DEBIAN/conffiles": "".join(f"/{path}\n" for path in self.files),
            }.items():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_text(text)
            build = ["dpkg-deb", "--root-owner-group", "--build", name, str(file)]
            subprocess.run(build, check=True, capture_output=True)


class Archive:
    """The only archive that apt on *node* has."""

    def __init__(self, site: Deployed, node: str) -> None:
        self._site, self._node = site, node
        self._directory = root_of(site.lab, node) / _WHERE.lstrip("/")
        self._names: set[str] = set()

    def publish(self, *packages: Package) -> None:
        """Have *packages* in the archive and no others; apt is not told."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        index = []
        for package in packages:
            file = self._directory / f"{package.name}_{package.version}_all.deb"
            package.build(file)
            content = file.read_bytes()
            index.append(
                f"{package.control}Filename: ./{file.name}\nSize: {len(content)}\n"
                f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
            )
            self._names.add(package.name)
        (self._directory / "Packages").write_text("\n".join(index))

    def forget(self) -> None:
        """Have apt look again, as on another day."""
        self._site.on(self._node, f"rm -rf {_KNOWN}")

    def installed(self, *names: str) -> dict[str, str]:
        """Return the versions of those of *names* that are installed."""
        show = "dpkg-query --show --showformat '${Package} ${db:Status-Status} ${Version}\\n'"
        lines = self._site.on(
            self._node, f"{show} {shlex.join(names)} 2>/dev/null", check=False
        ).splitlines()
        found = [line.partition(" installed ") for line in lines]
        return {name: version for name, status, version in found if status}

    def remove(self) -> None:
        """Leave nothing of it, nor of what was installed from it."""
        if self._names:
            names = shlex.join(sorted(self._names))
            self._site.on(self._node, f"apt-mark unhold {names}; dpkg --purge {names}", check=False)
        self._site.on(
            self._node,
            f"rm -rf /etc/apt {_WHERE} {_KNOWN} && mv {_KEPT} /etc/apt",
        )


@contextmanager
def archive_of(site: Deployed, node: str) -> Iterator[Archive]:
    """Yield an archive that *node* has instead of its own; after that it has its own again."""
    site.on(
        node,
        f"mkdir -p /opt/lab && cp -a /etc/apt {_KEPT} && rm -rf {_KNOWN}"
        f" && echo 'deb [trusted=yes] file:{_WHERE} ./' > /etc/apt/sources.list",
    )
    archive = Archive(site, node)
    try:
        archive.publish()
        yield archive
    finally:
        archive.remove()

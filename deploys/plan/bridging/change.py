"""A change of a host's network as a value, and as the archive that the host's own script takes."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from groundplane_deploys.plan.bridging.found import Link
from groundplane_deploys.plan.texts import encoded


class Made(NamedTuple):
    """A desired link: *mtu* in bytes, 0 if unset."""

    name: str
    mtu: int = 0
    addresses: tuple[str, ...] = ()


def digest(text: str) -> str:
    """Return the SHA-256 of a file with this *text*."""
    return hashlib.sha256(encoded(text)).hexdigest()


@dataclass(frozen=True)
class Change:
    """The desired state of *manager*: *files* by absolute path, None for a file to remove.

    *made* are links that the files create, in dependency order; *kept* are existing links to
    reconfigure. *ports* are pairs of a link and its master. *removed* are owned links that are no
    longer desired. *remade* are links to recreate because their kind changed, since the manager
    creates a link only once.
    """

    manager: str
    files: Mapping[str, str | None]
    made: tuple[Made, ...]
    kept: tuple[Made, ...] = ()
    ports: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()

    def is_written(self, digests: Mapping[str, str]) -> bool:
        """Whether files with these SHA-256 *digests* (by path) are those wanted."""
        return all(
            digests.get(path) == (None if text is None else digest(text))
            for path, text in self.files.items()
        )

    def is_seen(self, links: Mapping[str, Link]) -> bool:
        """Return whether the kernel has the links of the files: someone may have removed them."""
        return (
            not any(name in links for name in self.removed)
            and all(each.name in links for each in self.made)
            and all(links[port].master == name for port, name in self.ports if port in links)
            and all(
                links[each.name].mtu == (each.mtu or links[each.name].mtu)
                and links[each.name].addresses >= {*each.addresses}
                for each in (*self.made, *self.kept)
                if each.name in links
            )
        )

    def members(self) -> dict[str, str]:
        """Return the files of the staged change, by relative name."""
        lists: dict[str, Iterable[str]] = {
            "manager": [self.manager],
            "files": sorted(self.files),
            "links": [each.name for each in self.made],
            "removed": self.removed,
            "remade": self.remade,
            "uplinks": [each.name for each in self.kept],
            "ports": [f"{port} {master}" for port, master in self.ports],
            "addresses": [
                f"{each.name} {address}"
                for each in (*self.made, *self.kept)
                for address in each.addresses
            ],
        }
        texts = {name: "".join(f"{line}\n" for line in lines) for name, lines in lists.items()}
        new = {f"new{path}": text for path, text in self.files.items() if text is not None}
        return texts | new

    def archive(self) -> io.BytesIO:
        """Return the staged change as a tar archive."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in self.members().items():
                content = encoded(text)
                entry = tarfile.TarInfo(name)
                # netplan wants its files, which may have secrets, for root alone.
                entry.size, entry.mode = len(content), 0o600 if "/netplan/" in name else 0o644
                archive.addfile(entry, io.BytesIO(content))
        buffer.seek(0)
        return buffer

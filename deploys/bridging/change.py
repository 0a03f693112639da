"""A change of a host's network as a value, and as the archive that the host's own script takes."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deploys.bridging.wanted import Bridge, Uplink, uplinks_of
from deploys.facts.bridging import Link


@dataclass(frozen=True)
class Change:
    """What *manager* is to have: *files* by absolute path, None for one that is to go.

    *removed* are links of ours that are wanted no more.
    """

    manager: str
    bridges: tuple[Bridge, ...]
    files: Mapping[str, str | None]
    removed: tuple[str, ...] = field(default=())

    @property
    def links(self) -> tuple[str, ...]:
        """Every link that the change makes: VLANs come before the bridges they are ports of."""
        vlans = [link for uplink in uplinks_of(self.bridges) for link, _ in uplink.vlans]
        return (*vlans, *(bridge.name for bridge in self.bridges))

    @property
    def ports(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a port and its bridge."""
        return tuple((bridge.port, bridge.name) for bridge in self.bridges if bridge.port)

    def is_written(self, digests: Mapping[str, str]) -> bool:
        """Whether files with these SHA-256 *digests* (by path) are those wanted."""
        return all(
            digests.get(path)
            == (None if text is None else hashlib.sha256(text.encode()).hexdigest())
            for path, text in self.files.items()
        )

    def is_seen(self, links: Mapping[str, Link]) -> bool:
        """Whether the kernel has what the files make: someone may have taken it away by hand."""
        return (
            not any(name in links for name in self.removed)
            and all(name in links for name in self.links)
            and all(links[port].master == name for port, name in self.ports if port in links)
            and all(
                links[bridge.name].mtu == bridge.mtu
                and links[bridge.name].addresses >= {*bridge.addresses}
                for bridge in self.bridges
            )
        )

    @property
    def _touched(self) -> list[Uplink]:
        """The NICs that are configured anew: ifupdown has nothing to do with VLANs of a NIC."""
        uplinks = uplinks_of(self.bridges)
        return [each for each in uplinks if each.bridge or self.manager != "ifupdown"]

    def members(self) -> dict[str, str]:
        """Return the files of the staged change, by relative name."""
        lists: dict[str, Iterable[str]] = {
            "manager": [self.manager],
            "files": sorted(self.files),
            "links": self.links,
            "removed": self.removed,
            "uplinks": [uplink.name for uplink in self._touched],
            "ports": [f"{port} {bridge}" for port, bridge in self.ports],
            "addresses": [
                f"{bridge.name} {address}"
                for bridge in self.bridges
                for address in bridge.addresses
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
                content = text.encode()
                entry = tarfile.TarInfo(name)
                # netplan wants its files, which may have secrets, for root alone.
                entry.size, entry.mode = len(content), 0o600 if "/netplan/" in name else 0o644
                archive.addfile(entry, io.BytesIO(content))
        buffer.seek(0)
        return buffer

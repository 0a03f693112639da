"""Facts about libvirt on a hypervisor, and about the files of its VMs.

If libvirt is not installed or does not answer, the facts list no domain, network or pool.
LibvirtFault says which of the two it is; operations check it first.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase, QuoteString, StringCommand

from groundplane_deploys.plan.libvirt.domains import DomainType
from groundplane_deploys.plan.libvirt.probe import probe_script

VIRSH = "virsh -q -c qemu:///system"

_RECORD = "/run/groundplane-domain-type"  # removed at boot, since the kernel may change
_MARK = "%%"  # no line of XML or virsh output starts like this


@dataclass(frozen=True)
class FoundDomain:
    """*live* is "" while it is off; *state* is virsh's term, like "running" or "shut off"."""

    name: str
    state: str
    autostart: bool
    snapshots: tuple[str, ...]
    inactive: str
    live: str


@dataclass(frozen=True)
class Found:
    """The persistent and the live definition of a network or pool; live is "" while inactive."""

    name: str
    autostart: bool
    inactive: str
    live: str


@dataclass(frozen=True)
class Volume:
    """A disk image: *size* is the virtual size in bytes, *backing* the backing file or ""."""

    size: int
    backing: str


class LibvirtFault(FactBase[str]):
    """Why libvirt does not answer, in its own words; "" when it does."""

    default = str

    def command(self) -> str:
        return f"{VIRSH} version 2>&1 >/dev/null || true"

    def process(self, output: Iterable[str]) -> str:
        return "; ".join(line.removeprefix("error: ").strip() for line in output if line.strip())


class DomainKind(FactBase[DomainType]):
    """ "kvm" if a probe boots with it, else "qemu"; tested once per boot of the host."""

    @staticmethod
    def default() -> DomainType:
        return "qemu"

    def command(self) -> str:
        return probe_script(_RECORD)

    def process(self, output: Iterable[str]) -> DomainType:
        return "kvm" if [line.strip() for line in output] == ["kvm"] else "qemu"


class Domains(FactBase[dict[str, FoundDomain]]):
    """All domains, owned or not, by name."""

    default = dict

    def command(self) -> str:
        # By UUID, since names can be anything. A domain may disappear after it was listed.
        return (
            f"{VIRSH} list --all --uuid 2>/dev/null | grep . | while read -r id; do "
            f"echo '{_MARK} domain'; "
            f"{VIRSH} domstate $id; echo '{_MARK} info'; {VIRSH} dominfo $id; "
            f"echo '{_MARK} snapshots'; {VIRSH} snapshot-list --name $id; "
            f"echo '{_MARK} inactive'; {VIRSH} dumpxml --inactive $id; "
            f"echo '{_MARK} live'; {VIRSH} dumpxml $id; done 2>/dev/null || true"
        )

    def process(self, output: Iterable[str]) -> dict[str, FoundDomain]:
        found = (_domain(sections) for sections in _records(output, "domain"))
        return {domain.name: domain for domain in found if domain.name}


class Networks(FactBase[dict[str, Found]]):
    """All libvirt networks, by name."""

    default = dict

    def command(self) -> str:
        return _found_command("net")

    def process(self, output: Iterable[str]) -> dict[str, Found]:
        return _found(output)


class Pools(FactBase[dict[str, Found]]):
    """Every storage pool, by name."""

    default = dict

    def command(self) -> str:
        return _found_command("pool")

    def process(self, output: Iterable[str]) -> dict[str, Found]:
        return _found(output)


class Filters(FactBase[list[str]]):
    """The names of libvirt's network filters."""

    default = list

    def command(self) -> str:
        return f"{VIRSH} nwfilter-list 2>/dev/null || true"

    def process(self, output: Iterable[str]) -> list[str]:
        return [words[1] for line in output if len(words := line.split()) == 2]


class Volumes(FactBase[dict[str, Volume]]):
    """Disk images by path: those of *paths* that exist."""

    default = dict

    def command(self, paths: Iterable[str]) -> StringCommand:
        # -U: another qemu may have the image open.
        return StringCommand(
            "for file in", *(QuoteString(path) for path in paths), "; do test -f \"$file\" &&",
            "qemu-img info -U --output=json \"$file\" ; done 2>/dev/null || true",
        )  # fmt: skip

    def process(self, output: Iterable[str]) -> dict[str, Volume]:
        return {
            info["filename"]: Volume(info["virtual-size"], info.get("backing-filename", ""))
            for info in _json_values("\n".join(output))
        }


class SeedDigests(FactBase[dict[str, str]]):
    """The digest of each VM's seed content, by name: the files of a directory."""

    default = dict

    def command(self, directory: str) -> StringCommand:
        return StringCommand(
            "cd", QuoteString(directory), "2>/dev/null && for file in *.iso; do "
            "grep -H . \"${file%.iso}.digest\" 2>/dev/null; done || true",
        )  # fmt: skip

    def process(self, output: Iterable[str]) -> dict[str, str]:
        rows = (line.split(".digest:", 1) for line in output if ".digest:" in line)
        return {name: digest.strip() for name, digest in rows}


class PublicKeys(FactBase[dict[str, str]]):
    """Public host keys of VMs, by name, as "ssh-ed25519 BASE64": the files of a directory."""

    default = dict

    def command(self, directory: str) -> StringCommand:
        return StringCommand(
            "cd", QuoteString(directory), "2>/dev/null && grep -H . *.pub 2>/dev/null || true"
        )

    def process(self, output: Iterable[str]) -> dict[str, str]:
        rows = (line.split(".pub:", 1) for line in output if ".pub:" in line)
        return {name: " ".join(key.split()[:2]) for name, key in rows}


class OfferedKeys(FactBase[dict[str, str]]):
    """The ed25519 host keys offered on *addresses* within ten seconds, by address.

    An emulated machine on shared CPUs needs more than one second.
    """

    default = dict

    def command(self, addresses: Iterable[str]) -> StringCommand:
        quoted = (QuoteString(address) for address in addresses)
        return StringCommand("ssh-keyscan -T 10 -t ed25519", *quoted, "2>/dev/null || true")

    def process(self, output: Iterable[str]) -> dict[str, str]:
        rows = (line.split(maxsplit=1) for line in output if " ssh-" in line)
        return {address.strip("[]"): key.strip() for address, key in rows}


def _found_command(kind: str) -> str:
    """Return the command; *kind* is the prefix of virsh's subcommands for it."""
    return (
        f"{VIRSH} {kind}-list --all --uuid 2>/dev/null | grep . | while read -r id; do "
        f"echo '{_MARK} found'; {VIRSH} {kind}-info $id; "
        f"echo '{_MARK} inactive'; {VIRSH} {kind}-dumpxml --inactive $id; "
        f"echo '{_MARK} live'; {VIRSH} {kind}-dumpxml $id; done 2>/dev/null || true"
    )


def _found(output: Iterable[str]) -> dict[str, Found]:
    found = {}
    for sections in _records(output, "found"):
        info = _info(sections["found"])
        active = info.get("Active") == "yes" or info.get("State") == "running"
        inactive, live = (_text(sections, name) for name in ("inactive", "live"))
        if inactive:
            name = info.get("Name", "")
            autostart = info.get("Autostart") == "yes"
            found[name] = Found(name, autostart, inactive, live if active else "")
    return found


def _domain(sections: dict[str, list[str]]) -> FoundDomain:
    info = _info(sections.get("info", []))
    state = next((line.strip() for line in sections["domain"] if line.strip()), "")
    return FoundDomain(
        name=info.get("Name", ""),
        state=state,
        autostart=info.get("Autostart") == "enable",
        snapshots=tuple(line for line in sections.get("snapshots", []) if line.strip()),
        inactive=_text(sections, "inactive"),
        live="" if state == "shut off" else _text(sections, "live"),
    )


def _text(sections: Mapping[str, list[str]], name: str) -> str:
    return "\n".join(sections.get(name, []))


def _info(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _records(output: Iterable[str], first: str) -> Iterator[dict[str, list[str]]]:
    """Yield the sections of each record; each section *first* starts a new record."""
    record: dict[str, list[str]] = {}
    section = ""
    for line in output:
        if line.startswith(f"{_MARK} "):
            section = line.removeprefix(f"{_MARK} ")
            if section == first and record:
                yield record
                record = {}
            record[section] = []
        elif section:
            record[section].append(line)
    if record:
        yield record


def _json_values(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        value, at = decoder.raw_decode(text, at)
        yield value

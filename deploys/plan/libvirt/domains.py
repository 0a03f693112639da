"""Domains: the XML of a VM, and what one that libvirt shows differs in from it.

libvirt adds many defaults, so texts are not compared. Configurable settings are read back from the
live XML; a digest in the metadata covers the rest of the template.
"""

from dataclasses import dataclass, fields
from typing import Literal

from groundplane.deploy_api import render_template
from groundplane_deploys.plan.libvirt.identity import NAMESPACE, digest_of, owner_of
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.xml import Element, attribute, parse

DomainType = Literal["kvm", "qemu"]


@dataclass(frozen=True)
class Domain:
    """What is said of a domain, in the words of a message; *memory* is in KiB."""

    site: str
    type: str
    cpus: int
    memory: int
    disks: tuple[str, ...]
    mac: str
    network: str
    mtu: int
    filter: str
    definition: str


def domain_xml(machine: Machine, kind: DomainType, seed: str) -> str:
    """Return the XML that defines *machine*; *seed* is a digest of what cloud-init is told.

    It is in the definition because a new one is read at the next boot, as all the rest is.
    """
    unmarked = _render(machine, kind, "")
    return _render(machine, kind, digest_of(f"{unmarked}\n{seed}"))


def read_domain(xml: str) -> Domain:
    """Return what the XML of a domain says, whoever wrote it; what it does not say is "" or 0."""
    root = parse(xml)
    site, definition = owner_of(root)
    kind = attribute(root, "devices/interface", "type")
    source = attribute(root, "devices/interface/source", kind)
    return Domain(
        site=site,
        type=root.get("type", ""),
        cpus=int(root.findtext("vcpu", "0")),
        memory=_kibibytes(root.find("memory")),
        disks=tuple(attribute(disk, "source", "file") for disk in root.iterfind("devices/disk")),
        mac=attribute(root, "devices/interface/mac", "address"),
        network=f"{kind} {source}".strip(),
        mtu=int(attribute(root, "devices/interface/mtu", "size") or "0"),
        filter=attribute(root, "devices/interface/filterref", "filter"),
        definition=definition,
    )


def differences(wanted: Domain, found: Domain) -> tuple[str, ...]:
    """Return what *found* has to become, as "memory 524288 -> 1048576"; nothing when it is so."""
    pairs = ((each.name, getattr(found, each.name), getattr(wanted, each.name)) for each in _SAID)
    said = tuple(f"{name} {_text(old)} -> {_text(new)}" for name, old, new in pairs if old != new)
    if said or wanted.definition == found.definition:
        return said
    return ("other settings or cloud-init's seed",)


_SAID = tuple(each for each in fields(Domain) if each.name != "definition")
_UNITS = {"b": 1, "bytes": 1, "KiB": 1 << 10, "k": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _render(machine: Machine, kind: DomainType, definition: str) -> str:
    return render_template(
        "libvirt/domain.xml.j2",
        machine=machine,
        kind=kind,
        namespace=NAMESPACE,
        definition=definition,
    )


def _kibibytes(memory: Element | None) -> int:
    if memory is None:
        return 0
    size = int(memory.text or "0") * _UNITS.get(memory.get("unit", "KiB"), 1 << 10)
    return -(-size // 1024)


def _text(value: object) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else f"{value or 'none'}"

"""Kinds and fields that describe machines: Image, Hypervisor, and the machine fields of Node."""

import re
from typing import Final, Literal

from groundplane.documents.meta import Document, ObjectMeta
from groundplane.net.mtu import DEFAULT_MTU

_SUFFIXES: Final = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
PORTS: Final = {"vxlan": 4790, "wireguard": 51871}  # the first is IANA's for VXLAN-GPE
_QUANTITY: Final = re.compile(r"([1-9][0-9]*)(Ki|Mi|Gi|Ti)?\Z")


def quantity(text: str) -> int:
    """Return the bytes of a quantity with a binary suffix, like "2Gi"; ValueError if invalid."""
    found = _QUANTITY.match(text)
    if not found:
        raise ValueError(f'"{text}" is not a size: a whole number with Ki, Mi, Gi or Ti')
    number, suffix = found.groups()
    return int(number) * _SUFFIXES.get(suffix, 1)


class Management(Document, frozen=True):
    """How the deploy reaches a machine by ssh: typed fields only, never raw ssh options."""

    host: str | None = None
    port: int = 22
    user: str = "root"
    key_file: str | None = None
    host_keys: tuple[str, ...] = ()


class Signature(Document, frozen=True):
    """A detached OpenPGP signature of an image, and the keyring that must contain its key.

    Each is an https URL (the signature only) or a path from the catalog's directory.
    """

    source: str
    keyring: str


class ImageBuild(Document, frozen=True):
    """A Debian image built from packages: a kernel, cloud-init, sshd and *packages*."""

    suite: Literal["bookworm", "trixie"] = "bookworm"
    packages: tuple[str, ...] = ()


class ImageSpec(Document, frozen=True):
    """Either *source*, an https URL or a path from the catalog's directory, or *build*.

    *checksum* is "sha256:HEX" or "sha512:HEX" of the file as downloaded.
    """

    source: str | None = None
    checksum: str | None = None
    signature: Signature | None = None
    build: ImageBuild | None = None


class Image(Document, frozen=True):
    """A base image for VM disks: qcow2 or raw, containing cloud-init."""

    api_version: Literal["groundplane/v1"]
    kind: Literal["Image"]
    metadata: ObjectMeta
    spec: ImageSpec

    @property
    def name(self) -> str:
        return self.metadata.name


class Network(Document, frozen=True):
    """A layer-2 segment on a hypervisor for its VMs.

    With mode bridge it is a bridge named *name* on the hypervisor's NIC *uplink* (on its VLAN
    *vlan*, if given), where the hypervisor itself has *addresses*; without *uplink* the bridge is
    isolated. With mode nat or route it is a libvirt network; the hypervisor has the first address
    of each of *cidrs* and is the gateway.
    """

    name: str
    cidrs: tuple[str, ...]
    mode: Literal["bridge", "nat", "route"] = "bridge"
    uplink: str | None = None
    vlan: int | None = None
    mtu: int = DEFAULT_MTU
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()


class HypervisorSpec(Document, frozen=True):
    """*pool* is the directory on the hypervisor for the VMs' disks."""

    management: Management
    networks: tuple[Network, ...]
    pool: str = "/var/lib/groundplane-vms"


class Hypervisor(Document, frozen=True):
    """A machine that runs VMs with libvirt."""

    api_version: Literal["groundplane/v1"]
    kind: Literal["Hypervisor"]
    metadata: ObjectMeta
    spec: HypervisorSpec

    @property
    def name(self) -> str:
        return self.metadata.name


class Vm(Document, frozen=True):
    """The VM of a Node: sizes are quantities, *network* is one of its hypervisor's networks.

    With addressing dhcp, the hypervisor's network (mode nat or route) has a reservation for the
    node's addresses; with static, cloud-init sets them. *authorizedKeys* are public ssh keys.
    *filter* is a libvirt network filter (nwfilter) for the VM's port.
    """

    hypervisor: str
    image: str
    network: str
    cpus: int = 1
    memory: str = "1Gi"
    disk: str = "10Gi"
    addressing: Literal["static", "dhcp"] = "static"
    authorized_keys: tuple[str, ...] = ()
    autostart: bool = True
    state: Literal["running", "off"] = "running"
    filter: str = ""


class Bond(Document, frozen=True):
    """Several NICs bonded into one link (systemd.netdev(5), [Bond])."""

    members: tuple[str, ...]
    mode: Literal["active-backup", "802.3ad", "balance-xor"] = "active-backup"


class Uplink(Document, frozen=True):
    """The link with a bare node's addresses, if the deploy is to create it.

    *device* is a NIC, or the name of the bond; with *vlan* the addresses are on that VLAN of it.
    *cidrs* are the ranges of its segment; they set the prefix lengths of the addresses.
    """

    device: str
    cidrs: tuple[str, ...]
    bond: Bond | None = None
    vlan: int | None = None
    mtu: int = DEFAULT_MTU
    gateways: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()


class Overlay(Document, frozen=True):
    """How packets between workloads cross from one segment to another.

    vxlan puts them in UDP to *port* with *vni*, without an Ethernet header (VXLAN-GPE, RFC 7348 and
    draft-ietf-nvo3-vxlan-gpe). wireguard encrypts them, also between nodes of one segment. With
    none the site's own routers route them.
    """

    mode: Literal["none", "vxlan", "wireguard"] = "vxlan"
    vni: int = 7071
    port: int | None = None


class WireGuard(Document, frozen=True):
    """The public key of a node (wg(8)); the private key never leaves the node."""

    public_key: str

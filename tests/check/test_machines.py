"""What Nodes say of their machines: every fault at its field, all at once."""

from pathlib import Path

import pytest

from groundplane.check.public_keys import TYPES
from tests.catalogs import PUBLIC_KEY, SITE, faults

IMAGE = (
    "apiVersion: groundplane/v1\nkind: Image\nmetadata: {name: debian}\nspec: {build: {}}\n---\n"
)
HYPERVISOR = """\
apiVersion: groundplane/v1
kind: Hypervisor
metadata: {name: h1}
spec:
  management: {host: 192.0.2.250}
  networks:
  - {name: br0, cidrs: [192.0.2.0/24], uplink: eth0}
  - {name: nat0, cidrs: [198.51.100.0/24], mode: nat}
---
"""


def node(spec: str, address: str = "192.0.2.2") -> str:
    return (
        f"{IMAGE}{HYPERVISOR}apiVersion: groundplane/v1\nkind: Node\nmetadata: {{name: n2}}\n"
        f"spec:\n  addresses: [{address}]\n  {spec}\n"
    )


def told(source: Path, text: str, site: str = SITE) -> list[str]:
    """Return the faults without their places."""
    return [line.split(": ", 1)[1] for line in faults(source, text, site)]


@pytest.mark.parametrize(
    "spec",
    [
        "vm: {hypervisor: h1, image: debian, network: br0}",
        "vm: {hypervisor: h1, image: debian, network: br0, cpus: 4, memory: 8Gi, disk: 1Ti}",
        "vm: {hypervisor: h1, image: debian, network: br0, filter: no-mac-spoofing}",
        f"vm: {{hypervisor: h1, image: debian, network: br0, authorizedKeys: [{PUBLIC_KEY} me]}}",
        "uplink: {device: eth0, cidrs: [192.0.2.0/24], gateways: [192.0.2.254], mtu: 9000}",
        "uplink: {device: bond0, cidrs: [192.0.2.0/24], bond: {members: [eth0, eth1]}, vlan: 7}",
        "segment: rack-a",
        "wireguard: {publicKey: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}",
    ],
)
def test_what_a_node_may_say(source: Path, spec: str) -> None:
    assert [] == faults(source, node(spec))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("hypervisor: h2", 'hypervisor: there is no Hypervisor "h2"'),
        ("image: debain", 'image: there is no Image "debain"; did you mean "debian"?'),
        ("network: br1", 'network: Hypervisor/h1 has no network "br1"; did you mean "br0"?'),
        ("filter: 'a\"/>'", 'filter: "a"/>" is not a network filter name such as no-mac-spoofing'),
        ("cpus: 0", "cpus: 0 is not a number of CPUs: at least 1"),
        ("memory: 2G", 'memory: "2G" is not a size: a whole number with Ki, Mi, Gi or Ti'),
        ("memory: 64Mi", "memory: 64Mi is too little: at least 128Mi"),
        ("disk: 512Mi", "disk: 512Mi is too little: at least 1024Mi"),
        ("disk: -1", 'disk: "-1" is not a size: a whole number with Ki, Mi, Gi or Ti'),
        ("addressing: dhcp", 'addressing: nobody of ours gives addresses on the bridge "br0"'),
        (
            'authorizedKeys: ["-----BEGIN KEY-----"]',
            (
                'authorizedKeys[0]: unknown type "-----BEGIN" of a public key; use one key, as '
                f"TYPE BASE64 or TYPE BASE64 COMMENT, with a type of {', '.join(TYPES)}"
            ),
        ),
        (
            "network: nat0",
            ' 192.0.2.2, an address of the node, lies in no range of the network "nat0"',
        ),
    ],
)
def test_what_a_vm_may_not_say(source: Path, given: str, expected: str) -> None:
    fields = {"hypervisor": "h1", "image": "debian", "network": "br0", "disk": '"10Gi"'}
    name, _, value = given.partition(": ")
    if name == "disk":
        value = f'"{value}"'
    text = ", ".join(f"{key}: {each}" for key, each in (fields | {name: value}).items())
    separator = "" if expected.startswith(" ") else "."
    expected = f"{':' if not separator else ''}{expected}"
    assert [f"Node/n2: spec.vm{separator}{expected}"] == told(source, node(f"vm: {{{text}}}"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("device: groundplane0", '.device: "groundplane0" is a name of ours'),
        (
            "device: eth0/1",
            ('.device: "eth0/1" is not a link name: at most 15 letters, digits, "-", "_" and "."'),
        ),
        ("vlan: 4095", ".vlan: 4095 is not a VLAN: 1 to 4094"),
        ("mtu: 500", ".mtu: 500 is not an MTU here: 576 to 65535"),
        (
            "cidrs: [192.0.2.1/24]",
            (
                '.cidrs[0]: "192.0.2.1/24" has bits set behind its prefix; did '
                "you mean 192.0.2.0/24?"
            ),
        ),
        (
            "gateways: [203.0.113.1]",
            (".gateways[0]: 203.0.113.1 lies in none of the segment's ranges"),
        ),
        ("nameservers: [localhost]", '.nameservers[0]: "localhost" is not an IP address'),
        ("bond: {members: []}", ".bond.members: at least one NIC is needed"),
        ("bond: {members: [eth1, eth1]}", '.bond.members[1]: "eth1" is named twice'),
        ("bond: {members: [eth0]}", '.bond.members[0]: "eth0" is named twice'),
        (
            "cidrs: [203.0.113.0/24]",
            (": 192.0.2.2, an address of the node, lies in no range of spec.uplink.cidrs"),
        ),
    ],
)
def test_what_an_uplink_may_not_say(source: Path, given: str, expected: str) -> None:
    fields = {"device": "eth0", "cidrs": "[192.0.2.0/24]"}
    name, _, value = given.partition(": ")
    text = ", ".join(f"{key}: {each}" for key, each in (fields | {name: value}).items())
    assert f"Node/n2: spec.uplink{expected}" in told(source, node(f"uplink: {{{text}}}"))


def test_a_vm_has_no_uplink(source: Path) -> None:
    spec = (
        "vm: {hypervisor: h1, image: debian, network: br0}\n"
        "  uplink: {device: eth0, cidrs: [192.0.2.0/24]}"
    )
    assert [
        "Node/n2: spec.uplink: it is of a bare node, and this one is a VM: see its network"
    ] == told(source, node(spec))


def test_a_machine_that_carries_vms_has_its_links_by_its_networks(source: Path) -> None:
    """Two documents that make one NIC what they want would undo each other."""
    text = node("uplink: {device: eth0, cidrs: [192.0.2.0/24]}").replace("name: n2", "name: h1")
    assert ["Node/h1: spec.uplink: Hypervisor/h1 is this machine: see its networks"] == told(
        source, text
    )


def test_wireguard_needs_the_key_of_every_node(source: Path) -> None:
    site = SITE.replace("spec:\n", "spec:\n  overlay: {mode: wireguard}\n", 1)
    missing = "the node's public key is needed: spec.overlay of the Cluster is wireguard"
    assert [
        f"Node/n1: spec.wireguard: {missing}",
        "Node/n2: spec.wireguard.publicKey: it is not a WireGuard public key: 32 bytes in base64",
    ] == told(source, node("wireguard: {publicKey: c2hvcnQ=}"), site)


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("vni: 0", "vni: 0 is not a VNI: 1 to 16777215"),
        ("vni: 16777216", "vni: 16777216 is not a VNI: 1 to 16777215"),
        ("port: 0", "port: 0 is not a port: 1 to 65535"),
        ("mode: geneve", 'mode: expected "none" or "vxlan" or "wireguard", got "geneve"'),
    ],
)
def test_what_an_overlay_may_not_say(source: Path, overlay: str, expected: str) -> None:
    site = SITE.replace("spec:\n", f"spec:\n  overlay: {{{overlay}}}\n", 1)
    assert [f"Cluster/lab: spec.overlay.{expected}"] == told(source, "", site)

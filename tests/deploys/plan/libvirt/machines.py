"""Machines, and strategies that make them as the catalog's check lets Nodes be."""

from dataclasses import replace

from hypothesis import strategies as st

from groundplane.documents.machine import Network
from groundplane_deploys.plan.libvirt.machine import Machine

NAT = Network(name="vms", cidrs=("10.77.0.0/24", "fd77::/64"), mode="nat")
BRIDGE = Network(
    name="br-vms",
    cidrs=("192.168.60.0/24", "fd60::/64"),
    gateways=("192.168.60.1", "fd60::1"),
    nameservers=("192.168.60.2",),
    mtu=9000,
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBiHnPWMJ0QfVCr3TGLkyCjxYTgOJdk5zjyGb3nSsZ2i someone"

V1 = Machine(
    site="lab",
    name="v1",
    user="root",
    cpus=2,
    memory=512 << 20,
    disk=10 << 30,
    base="/var/lib/groundplane-vms/images/debian.qcow2",
    pool="/var/lib/groundplane-vms",
    network=NAT,
    addresses=("10.77.0.11/24", "fd77::11/64"),
    addressing="static",
    authorized_keys=(KEY,),
    autostart=True,
    state="running",
    filter="",
)
ON_BRIDGE = replace(V1, name="v2", network=BRIDGE, addresses=("192.168.60.11/24", "fd60::11/64"))

_labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True)
_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["Cs"]))

machines = st.builds(
    replace,
    st.sampled_from([V1, ON_BRIDGE]),
    site=_labels,
    name=_labels,
    user=st.sampled_from(["root", "admin"]) | _text.filter(bool),
    cpus=st.integers(1, 1024),
    memory=st.integers(128, 1 << 22).map(lambda size: size << 20),
    addressing=st.sampled_from(["static", "dhcp"]),
    authorized_keys=st.lists(_text.map(lambda comment: f"{KEY} {comment}")).map(tuple),
)

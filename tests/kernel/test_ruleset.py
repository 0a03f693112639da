"""What the agent loads itself is what a person loads with `nft -f`, to the byte in the kernel."""

import subprocess
from functools import partial

import msgspec
import pytest

from groundplane.kernel.ruleset.load import load
from groundplane.project.state import NodeBase
from groundplane.proxies.ipvs import steering
from groundplane.site.compiled import Overlay
from tests.kernel.ruleset_dump import Found, dump
from tests.kernel.spaces import namespace
from tests.kernel.world import within
from tests.rulesets import framework
from tests.states import BASE, of_family

pytestmark = pytest.mark.kernel

FULL = msgspec.structs.replace(
    BASE,
    affinity_timeouts=(10800, 60),
    external_cidrs=("203.0.113.0/28", "203.0.113.16/28", "198.51.100.7/32", "2001:db8:13::/64"),
    non_masquerade_cidrs=("0.0.0.0/1", "255.255.255.0/24", "fd00:1::/32"),
    cluster_ips_from_outside=True,
)
IPVS = msgspec.structs.replace(FULL, proxy_mode="ipvs", cluster_ips_from_outside=False)
BASES = {
    "both": BASE,
    "with all": FULL,
    "IPv4 in VXLAN": msgspec.structs.replace(
        of_family("IPv4", FULL), overlay=Overlay("vxlan", 7071, 4790)
    ),
    "IPv6 in WireGuard": msgspec.structs.replace(
        of_family("IPv6", FULL), overlay=Overlay("wireguard", 7071, 4790)
    ),
    "nobody masqueraded": msgspec.structs.replace(BASE, egress_masquerade=False),
    "IPVS": IPVS,
    "IPVS of one family": of_family("IPv4", IPVS),
}


def text_of(base: NodeBase) -> str:
    return framework(base) + (steering.rules(base) if base.proxy_mode == "ipvs" else "")


def loaded_by_nft(text: str) -> Found:
    with namespace("rs") as netns:
        command = ["ip", "netns", "exec", netns, "nft", "-f", "-"]
        subprocess.run(command, input=text, text=True, check=True)
        return within(netns, dump)


def loaded_by_us(text: str) -> Found:
    with namespace("rs") as netns:
        within(netns, partial(load, text))
        return within(netns, dump)


@pytest.mark.parametrize("name", BASES)
def test_the_kernel_has_the_same_of_both(name: str) -> None:
    text = text_of(BASES[name])
    assert loaded_by_nft(text) == loaded_by_us(text)

"""Which overlay a catalog needs, and what is left of the uplink's MTU."""

from pathlib import Path

import msgspec
import pytest

from groundplane.allocate import Lock, allocate
from groundplane.compile.resolve import compile_site
from groundplane.project.node import overhead, project_base
from groundplane.site import compiled as compiled_model
from groundplane.site.compiled import Overlay, Site
from tests.catalogs import DUAL, SITE, read

SEGMENTS = """
apiVersion: groundplane/v1
kind: Node
metadata: {name: here}
spec: {addresses: [192.0.2.101, "2001:db8::101"], segment: a}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: there}
spec: {addresses: [192.0.2.102, "2001:db8::102"], segment: b}
"""


def compiled(source: Path, text: str, cluster: str = "", site: str = DUAL) -> Site:
    head, node = site.split("---\n")
    catalog = read(source, text, f"{head}{cluster}---\n{node}")
    return compile_site(catalog, allocate(catalog, Lock()))


def test_nodes_of_one_segment_need_none(source: Path) -> None:
    site = compiled(source, SEGMENTS.replace(", segment: a", "").replace(", segment: b", ""))
    assert site.overlay is None
    assert 1500 == project_base(site, "here").mtu


def test_two_segments_have_vxlan_between_them(source: Path) -> None:
    site = compiled(source, SEGMENTS)
    assert Overlay("vxlan", 7071, 4790) == site.overlay
    base = project_base(site, "here")
    assert 1464 == base.mtu
    assert {"there": "192.0.2.102"} == {p.name: p.tunnel for p in base.peers if p.name == "there"}


def test_nodes_of_one_segment_go_without_beside_others(source: Path) -> None:
    third = SEGMENTS.split("---", maxsplit=1)[0].replace("here", "beside").replace("101", "103")
    site = compiled(source, f"{SEGMENTS}---{third}")
    (beside,) = [p for p in project_base(site, "here").peers if p.name == "beside"]
    assert ("", True) == (beside.tunnel, beside.on_link)


def test_none_leaves_the_way_to_routers(source: Path) -> None:
    site = compiled(source, SEGMENTS, "  overlay: {mode: none}\n")
    assert site.overlay is None
    (there,) = [p for p in project_base(site, "here").peers if p.name == "there"]
    assert ("", False) == (there.tunnel, there.on_link)


@pytest.mark.parametrize(
    ("mode", "first", "mtu"),
    [
        ("vxlan", "192.0.2.101", 1464),
        ("vxlan", "2001:db8::101", 1444),
        ("wireguard", "192.0.2.101", 1440),
        ("wireguard", "2001:db8::101", 1420),
    ],
)
def test_what_a_tunnel_costs(mode: str, first: str, mtu: int) -> None:
    """Of the outer address's family: that of the site's first service range."""
    overlay = msgspec.convert({"mode": mode, "vni": 1, "port": 1}, Overlay)
    assert mtu == 1500 - overhead(overlay, compiled_model.Node("n", (first,), ()))


def test_an_uplink_of_jumbo_frames_leaves_more(source: Path) -> None:
    uplink = "uplink: {device: eth0, mtu: 9000, cidrs: [192.0.2.0/24, '2001:db8::/64']}"
    site = compiled(source, SEGMENTS.replace("segment: a", f"segment: a, {uplink}"))
    assert 8964 == project_base(site, "here").mtu


def test_a_site_of_one_family_has_it_too(source: Path) -> None:
    text = SEGMENTS.replace(', "2001:db8::101"', "").replace(', "2001:db8::102"', "")
    assert Overlay("vxlan", 7071, 4790) == compiled(source, text, site=SITE).overlay

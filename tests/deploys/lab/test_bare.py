"""The lab of namespaces: what a deploy would make, by ip(8) alone."""

import os
import subprocess
import sys

import pytest

from groundplane.site.compiled import Overlay
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab.bare import PREFIX, connection, links, settings
from tests.kernel.spaces import based
from tests.states import BASE


def test_a_node_has_its_addresses_its_bridge_and_a_way_out() -> None:
    lines = list(links(BASE, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.254"]))
    assert "address add 192.0.2.1/24 dev host0" in lines
    assert "address add 2001:db8::1/64 dev host0 nodad" in lines
    assert "route add default via 192.0.2.254" in lines
    assert "address add 10.244.1.1/24 dev groundplane0" in lines
    assert not [line for line in lines if "groundplane1" in line]


def test_a_node_of_several_segments_has_the_overlay() -> None:
    base = based(overlay=Overlay("vxlan", 7071, 4790), mtu=1464)
    lines = list(links(base, [], []))
    assert "link add groundplane1 mtu 1464 type vxlan external gpe dstport 4790" in lines
    assert "address add 10.244.1.1/32 dev groundplane1" in lines


def test_a_workload_has_its_addresses_and_the_bridge_as_its_gateway() -> None:
    (workload,) = BASE.workloads
    assert f"link set {workload.interface} master groundplane0 up" in list(
        connection(BASE, workload, "w")
    )
    lines = list(settings(BASE, workload))
    assert "address add fd00:244:0:1::10/128 dev eth0 nodad" in lines
    assert "route add default via 10.244.1.1 dev eth0 onlink" in lines


@pytest.mark.nodes
def test_it_goes_up_answers_and_leaves_nothing() -> None:
    environment = os.environ | {"GROUNDPLANE_SOURCE": str(ROOT / "examples" / "lab")}

    def lab(verb: str) -> str:
        command = [sys.executable, "-m", "groundplane_deploys.lab.bare", verb]
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    try:
        lab("up")
        assert 9 == lab("tour").count(" answers ")
    finally:
        lab("down")
    shown = subprocess.run(["ip", "netns", "list"], text=True, capture_output=True, check=True)
    assert PREFIX not in shown.stdout

"""Nodes of two segments: networkd makes the overlay, the agents lead what they must into it."""

import json
import re

import pytest

from tests.nodes.conftest import EVERY_WEB, WEB, Deployed

pytestmark = pytest.mark.nodes


def _in_two_segments(text: str) -> str:
    return re.sub(r'(  addresses: \[192\.168\.50\.13, "fd50::13"\])', r"\1\n  segment: b", text)


def _changed(done: dict[str, object]) -> list[str]:
    operations = done["results"]["operations"]  # type: ignore[index]
    return [each["name"] for each in operations if each["success"] or each["error"]]


def test_a_node_moves_to_another_segment_and_back(site: Deployed) -> None:
    try:
        site.commit("nodes.yaml", _in_two_segments)
        site.deploy("deploys/site.py")
        site.git("push", "--quiet")
        site.wait_for_commit(site.git("rev-parse", "HEAD"))
        links = json.loads(site.on("n1", "ip -j -d link show groundplane1"))
        assert links[0]["linkinfo"]["info_data"]["external"]
        assert 1464 == links[0]["mtu"]
        assert "encap" in site.on("n1", "ip route show proto 71")
        assert EVERY_WEB == set(site.connect("n1", "default-echo-1", WEB, 80, count=100))
        assert EVERY_WEB == set(site.connect("n3", "", WEB, 80, count=100))
        tunnelled = json.loads(site.on("n3", "ip -j -s link show groundplane1"))[0]["stats64"]
        assert tunnelled["rx"]["packets"] > 20 < tunnelled["tx"]["packets"]
        site.run("pytest", "-q", "-p", "no:cacheprovider", "tests/verify")
        assert [] == _changed(site.deploy("deploys/site.py"))
    finally:
        site.restore()
        site.deploy("deploys/site.py")
    assert "groundplane1" not in site.on("n1", "ip link")
    assert EVERY_WEB == set(site.connect("n3", "", WEB, 80, count=100))

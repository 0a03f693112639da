"""Whether a filter drops what bridges pass, by what iptables-save prints."""

import pytest

from groundplane_deploys.facts.bridge_filter import DroppedFrames

DROP = "program iptables\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [7:420]\n"
USER = ":DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n"
ACCEPT = "-A DOCKER-USER -m physdev --physdev-is-bridged -j ACCEPT\n"
OPEN6 = "program ip6tables\n*filter\n:FORWARD ACCEPT [0:0]\n"
DROP6 = "program ip6tables\n*filter\n:FORWARD DROP [0:0]\n"


@pytest.mark.parametrize(
    ("saved", "dropping"),
    [
        ("", ()),
        (DROP + USER, ("iptables",)),
        (DROP + USER + ACCEPT, ()),
        (DROP + USER + ACCEPT + DROP6, ("ip6tables",)),
        (DROP + OPEN6, ("iptables",)),
        (DROP.replace("DROP", "ACCEPT"), ()),
        (DROP + "-A FORWARD -m physdev ! --physdev-is-bridged -j ACCEPT\n", ("iptables",)),
    ],
)
def test_who_drops(saved: str, dropping: tuple[str, ...]) -> None:
    assert DroppedFrames().process(saved.splitlines()) == dropping

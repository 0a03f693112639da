"""Matches of iptables, from what nft prints of them. Recorded with iptables-nft 1.8.9, nft 1.0.6."""

from typing import Any

import pytest

from groundplane.doctor.extensions import has_extensions, spelled_out

COUNTER = {"counter": {"packets": 0, "bytes": 0}}
LISTING = """\
table ip filter { # handle 1
	chain DOCKER-CT { # handle 5
		oifname "docker0" ct state related,established counter packets 0 bytes 0 accept # handle 7
		ct status dnat counter packets 0 bytes 0 accept # handle 8
		ct state != new counter packets 0 bytes 0 accept # handle 9
		fib daddr type local counter packets 0 bytes 0 jump DOCKER # handle 10
		ct state new ct original ip daddr 10.0.0.1 counter packets 0 bytes 0 accept # handle 11
		xt match "conntrack" counter packets 0 bytes 0 accept # handle 12
		fib daddr type local ct state new counter packets 0 bytes 0 accept # handle 13
		meta l4proto ipv6-icmp icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 counter accept # handle 14
		meta l4proto icmp icmp type echo-request icmp code 0 counter packets 0 bytes 0 accept # handle 15
		meta l4proto ipv6-icmp xt match icmp6 ip6 hoplimit 255 counter packets 0 bytes 0 accept # handle 16
		Warning: cannot open /etc/xtables/connlabel.conf: No such file or directory
ct label 15 counter packets 0 bytes 0 accept # handle 17
	}
}
"""


def rule(handle: int, *names: str) -> dict[str, Any]:
    matches = [{"xt": {"type": "match", "name": name}} for name in names]
    return {"rule": {"handle": handle, "chain": "DOCKER-CT", "expr": [*matches, COUNTER]}}


def match(left: dict[str, Any], op: str, right: Any) -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


SOLICIT = "nd-neighbor-solicit"
STATE, STATUS = {"ct": {"key": "state"}}, {"ct": {"key": "status"}}
LOCAL = match({"fib": {"result": "type", "flags": ["daddr"]}}, "==", "local")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (rule(7, "conntrack"), [match(STATE, "in", ["related", "established"])]),
        (rule(8, "conntrack"), [match(STATUS, "in", "dnat")]),
        (rule(9, "state"), [match(STATE, "!=", "new")]),
        (rule(10, "addrtype"), [LOCAL]),
        (rule(17, "connlabel"), [match({"ct": {"key": "label"}}, "in", 15)]),
        (rule(13, "addrtype", "conntrack"), [match(STATE, "in", "new"), LOCAL]),
        (
            rule(14, "icmp6", "hl"),
            [
                match({"payload": {"protocol": "icmpv6", "field": "type"}}, "==", SOLICIT),
                match({"payload": {"protocol": "ip6", "field": "hoplimit"}}, "==", 255),
            ],
        ),
    ],
)
def test_a_match_is_what_nft_prints(listed: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert has_extensions([listed])
    ((found,),) = [[each["rule"]["expr"] for each in spelled_out([listed], LISTING)]]
    assert [*expected, COUNTER] == found


@pytest.mark.parametrize(
    "listed",
    [
        rule(11, "conntrack"),  # more than can be read
        rule(12, "conntrack"),  # iptables' libraries are not there
        rule(15, "icmp"),
        rule(16, "icmp6", "hl"),
        rule(99, "conntrack"),  # it is gone in between
        rule(7, "comment"),
        rule(7),
        {"chain": {"name": "DOCKER-CT"}},
        {"rule": {"expr": [{"xt": None}]}},  # an older nft
    ],
)
def test_what_is_not_read_stays_what_it_is(listed: dict[str, Any]) -> None:
    assert [listed] == spelled_out([listed], LISTING)


def test_a_ruleset_without_iptables_needs_no_listing() -> None:
    assert not has_extensions([{"table": {}}, rule(1), rule(2, "comment"), {"rule": {"expr": []}}])

"""Policy rules of others beside ours, as ip(8) prints them."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from groundplane.diagnosis.facts import Facts
from groundplane.doctor.gather import parse_rules
from groundplane.proxies.ipvs.policy_rules import policy_rules
from tests.states import BASE

IPVS = replace(BASE, proxy_mode="ipvs")
OURS = {"priority": 471, "fwmark": "0x47400000", "fwmask": "0xffc00000", "table": "7071"}
SERVICES = next(each for each in BASE.service_cidrs if ":" in each)
ELSEWHERE = "2001:db8:99::/64"
OF_EVERY_HOST = [
    {"priority": 0, "src": "all", "table": "255"},
    {"priority": 32766, "src": "all", "table": "254"},
]


def found(*rules: dict[str, Any], base: Any = IPVS) -> list[tuple[str, str]]:
    listed = json.dumps([*OF_EVERY_HOST, *({"src": "all"} | each for each in rules)])
    tables = {5: ["::/0"], 254: ["::/0", SERVICES], 51820: ["::/0"], 52: ["::/0"], 220: [ELSEWHERE]}
    facts = Facts(policy_rules=tuple(parse_rules(listed, "IPv6", tables)))
    return [(each.severity, each.subject) for each in policy_rules(base, facts)]


def test_our_own_rule_is_nobody_elses() -> None:
    assert [] == found(OURS)


@pytest.mark.parametrize(
    ("rule", "severity"),
    [
        ({"priority": 100, "table": "5"}, "error"),
        ({"priority": 471, "fwmark": "0x47412345", "table": "5"}, "warning"),  # one port
        ({"priority": 469, "not": None, "fwmark": "0xca6c", "table": "51820"}, "error"),  # wg-quick
        ({"priority": 468, "table": "254", "suppress_prefixlen": 0}, "error"),
        ({"priority": 100, "fwmark": "0x0", "fwmask": "0x3f0000", "table": "5"}, "warning"),
        ({"priority": 100, "fwmark": "0x0", "fwmask": "0xff0000", "table": "5"}, ""),
        ({"priority": 100, "src": "10.0.0.0", "srclen": 8, "table": "5"}, "warning"),
        ({"priority": 100, "iif": "eth1", "action": "7"}, "warning"),
        ({"priority": 100, "not": None, "fwmark": "0x47400000", "fwmask": "0xffc00000",
          "iif": "eth1", "table": "5"}, "warning"),
        ({"priority": 100, "not": None, "fwmark": "0x47400000", "fwmask": "0xffc00000",
          "table": "5"}, ""),
        ({"priority": 100, "fwmark": "0xca6c", "table": "5"}, ""),
        ({"priority": 100, "not": None, "table": "5"}, ""),
        ({"priority": 220, "table": "220"}, ""),  # strongSwan's, whose routes lead elsewhere
        ({"priority": 472, "table": "5"}, ""),
        ({"priority": 12, "goto": 32766}, "warning"),
        ({"priority": 13, "nop": None}, ""),
        ({"priority": 5210, "fwmark": "0x80000", "fwmask": "0xff0000", "table": "52"}, ""),
    ],
)  # fmt: skip
def test_rules_before_ours(rule: dict[str, Any], severity: str) -> None:
    wanted = [(severity, f"IPv6 policy rule {rule['priority']}")] if severity else []
    assert wanted == found(rule)
    assert [] == found(rule, base=BASE)


@pytest.mark.parametrize("base", [BASE, IPVS], ids=["nftables", "ipvs"])
def test_rules_that_use_our_table(base: Any) -> None:
    rule = {"priority": 300, "dst": "fd00::", "dstlen": 8, "table": "7071"}
    assert [("info", "IPv6 policy rule 300")] == found(rule, base=base)


def test_a_family_that_the_site_does_not_have_is_not_looked_at() -> None:
    rule = {"priority": 100, "table": "5"}
    assert [] == found(rule, base=replace(IPVS, families=("IPv4",)))

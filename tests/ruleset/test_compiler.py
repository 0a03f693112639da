"""Rulesets to messages. tests/kernel/test_ruleset.py compares all of it with what nft(8) loads."""

import struct

import pytest

from groundplane.kernel.netlink import attributes
from groundplane.kernel.ruleset import RulesetError, compile_ruleset
from groundplane.kernel.tables import BatchMessage

TABLE = """\
table {family} t {{
  map m {{ typeof {family} daddr . th dport : meta priority; }}
  map v {{ typeof meta priority : verdict; }}
  set s {{ typeof {family} saddr; }}
  chain c {{
    {rule}
  }}
}}
"""


def compiled(rule: str, family: str = "ip") -> list[BatchMessage]:
    return compile_ruleset(TABLE.format(family=family, rule=rule))


def expressions(rule: str, family: str = "ip") -> list[str]:
    """Return the names of a rule's expressions."""
    (found,) = (each for each in compiled(rule, family) if each.what.startswith("rule "))
    listed = dict(attributes(found.body, 4))[4]
    return [dict(attributes(each))[1].rstrip(b"\0").decode() for _, each in attributes(listed)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("accept", ["immediate"]),
        ("meta l4proto tcp reject with tcp reset", ["meta", "cmp", "reject"]),
        ("ip saddr @s return", ["payload", "lookup", "immediate"]),
        ("ip saddr != @s drop", ["payload", "lookup", "immediate"]),
        ("ct state established,related accept", ["ct", "bitwise", "cmp", "immediate"]),
        ("meta priority & 0xff vmap @v", ["meta", "bitwise", "lookup"]),
        ("meta priority set ip daddr . th dport map @m", ["payload", "payload", "lookup", "meta"]),
        ('iifname "gpw*" oifname "eth0" drop', ["meta", "cmp", "meta", "cmp", "immediate"]),
        ("icmp type 1-5 accept", ["payload", "cmp", "cmp", "immediate"]),
        ("meta mark set 7 notrack", ["immediate", "meta", "notrack"]),
        ("masquerade to :1000-2000 fully-random", ["immediate", "immediate", "masq"]),
        ("dnat ip to ip daddr", ["payload", "nat"]),
    ],
)
def test_a_rule_is_its_expressions_in_the_order_of_its_words(
    rule: str, expected: list[str]
) -> None:
    assert expected == expressions(rule)


def test_chains_come_before_what_jumps_to_them_and_sets_before_their_rules() -> None:
    chains = "chain a {\n goto b\n }\n chain b {\n meta l4proto { tcp, udp } drop\n }\n"
    text = f"table ip t {{\n {chains} }}"
    assert [
        "table ip t",
        "chain ip t a",
        "chain ip t b",
        "rule of ip t a: goto b",
        "set of a rule of ip t",
        "set elements of a rule of ip t",
        "rule of ip t b: meta l4proto { tcp , udp } drop",
    ] == [each.what for each in compile_ruleset(text)]


def intervals(elements: str, *more: str) -> list[tuple[str, bool]]:
    """Return the elements of a set of addresses: each, and whether it ends an interval."""
    rest = "".join(f" {each};" for each in more)
    line = f"set s {{ typeof ip daddr; flags interval;{rest} elements = {{ {elements} }}; }}"
    found = compile_ruleset(f"table ip t {{\n  {line}\n}}")[-1]
    listed = dict(attributes(found.body, 4))[3]
    entries = [dict(attributes(entry)) for _, entry in attributes(listed)]
    return [(".".join(map(str, each[1][4:8])), 3 in each) for each in entries]


def test_an_interval_is_its_first_address_and_the_one_behind_its_last() -> None:
    assert [
        ("0.0.0.0", True),
        ("10.0.0.0", False),
        ("10.1.0.0", True),
        ("192.0.2.0", False),
        ("192.0.3.0", True),
    ] == intervals("192.0.2.0/24, 10.0.0.0/16")


def test_an_interval_to_the_last_address_has_no_end_and_one_from_the_first_no_end_before() -> None:
    assert [("0.0.0.0", False)] == intervals("0.0.0.0/0")
    assert [("0.0.0.0", True), ("255.0.0.0", False)] == intervals("255.0.0.0/8")


def test_intervals_that_meet_or_overlap_are_merged_where_that_is_said() -> None:
    whole = [("0.0.0.0", True), ("10.0.0.0", False), ("10.2.0.0", True)]
    assert whole == intervals("10.0.0.0/16, 10.1.0.0/16", "auto-merge")
    assert whole == intervals("10.0.0.0/15, 10.0.7.0/24", "auto-merge")
    with pytest.raises(RulesetError):
        intervals("10.0.0.0/15, 10.0.7.0/24")


def test_a_batch_has_no_list_whose_length_exceeds_16_bits() -> None:
    elements = ", ".join(f"{number:#x} : goto c" for number in range(3000))
    text = TABLE.format(family="ip", rule="drop") + f"add element ip t v {{ {elements} }}\n"
    added = [each for each in compile_ruleset(text) if each.what == "set elements of ip t v"]
    assert len(added) > 1
    for each in added:
        lengths = [struct.unpack_from("=H", each.body, 4)[0], len(each.body)]
        assert max(lengths) < 1 << 16


@pytest.mark.parametrize(
    "rule",
    [
        "ip saddr",
        "ip saddr 10.0.0.0/8 drop",
        "ip saddr nowhere drop",
        "ip6 saddr 10.0.0.1 drop",
        "ip6 saddr fd00::1 . th dport 53 drop",
        "tcp dport 80 accept",
        "meta l4proto gre accept",
        "ct state invalid drop",
        "log prefix x",
        "reject with icmp host-unreachable",
        "meta priority vmap v",
        "masquerade random",
        "update @m { ip daddr . th dport }",
        "dnat ip to ip daddr map @none",
        "meta l4proto { tcp, udp drop",
    ],
)
def test_what_is_not_of_the_language_is_refused_with_its_line(rule: str) -> None:
    with pytest.raises(RulesetError, match=r"^line 6: not understood before "):
        compiled(rule)


def test_elements_of_a_set_that_is_not_there_are_refused() -> None:
    with pytest.raises(RulesetError, match=r"^line 1: elements of a set that is not declared"):
        compile_ruleset("add element ip t s { 1 : drop }")

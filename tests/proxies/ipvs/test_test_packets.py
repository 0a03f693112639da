"""Findings of the filters of others where IPVS balances."""

from tests.doctor.findings import EXPOSED, commands, found, the
from tests.doctor.written import ACCEPT, DROP, ESTABLISHED, dport, iif, match, oif, rules
from tests.kernel.spaces import based

L4 = {"meta": {"key": "l4proto"}}
IPVS = based(proxy_mode="ipvs")
MARK = match({"meta": {"key": "mark"}}, {"prefix": {"addr": 0x47400000, "len": 10}})
MASKED = match({"&": [{"meta": {"key": "mark"}}, 0xFFC00000]}, 0x47400000)
LABEL = match({"ct": {"key": "label"}}, 15, "in")


def test_where_ipvs_balances_services_pass_input() -> None:
    others = [[dport(each, 53), ACCEPT] for each in ("udp", "tcp")]
    others += [[dport("tcp", 32000), ACCEPT], [match(L4, "ipv6-icmp"), ACCEPT]]
    finding = the(rules("input", *others), EXPOSED, IPVS)
    assert ("error", "table inet filter, chain input") == (finding.severity, finding.subject)
    assert finding.message == (
        "It drops IPv4 and IPv6 by its policy drop: workloads to services; clients outside to "
        "services."
    )
    command = "nft insert rule inet filter input meta mark and 0xffc00000 == 0x47400000 accept"
    assert [command] == commands(finding)
    for accepting in (MARK, MASKED):
        assert [] == found(rules("input", *others, [accepting, ACCEPT]), EXPOSED, IPVS)
    of_another = match({"meta": {"key": "mark"}}, {"prefix": {"addr": 0x47800000, "len": 10}})
    assert "error" == the(rules("input", *others, [of_another, ACCEPT]), EXPOSED, IPVS).severity


def test_where_ipvs_balances_what_it_sends_passes_output_and_answers_pass_forward() -> None:
    to_bridge = [oif("groundplane0"), ACCEPT]
    finding = the(rules("output", to_bridge), EXPOSED, IPVS)
    assert "drops IPv4 and IPv6 by its policy drop: what IPVS sends to endpoints" in finding.message
    assert ["nft insert rule inet filter output ct label 15 accept"] == commands(finding)
    assert [] == found(rules("output", to_bridge, [LABEL, ACCEPT]), EXPOSED, IPVS)
    forward = [[iif("groundplane0"), ACCEPT], to_bridge]
    finding = the(rules("forward", *forward), EXPOSED, IPVS)
    assert ["nft insert rule inet filter forward ct state established,related accept"] == commands(
        finding
    )
    assert [] == found(rules("forward", *forward, [ESTABLISHED, ACCEPT]), EXPOSED, IPVS)


def test_where_ipvs_balances_firewalld_has_a_policy_for_services() -> None:
    place = {"table": "firewalld", "policy": "accept"}
    entering = the(rules("input", [DROP], **place), EXPOSED, IPVS)  # type: ignore[arg-type]
    assert "firewall-cmd --permanent --new-policy=groundplane_ipvs" in commands(entering)
    policy = "firewall-cmd --permanent --policy=groundplane_ipvs"
    assert f"{policy} --add-port=30053/udp" in commands(entering)
    rule = "rule family=ipv4 destination address=10.96.0.0/24 accept"
    assert f"{policy} '--add-rich-rule={rule}'" in commands(entering)


def test_where_ipvs_balances_ufw_gets_a_rule_in_front_of_its_own() -> None:
    entering = the(
        rules("input", family="ip6", name="INPUT", chains=("ufw6-before-input",)), EXPOSED, IPVS
    )
    rule = "-A ufw6-before-input -m mark --mark 0x47400000/0xffc00000 -j ACCEPT"
    assert f"sed -i '/^# End required lines/a {rule}' /etc/ufw/before6.rules" in commands(entering)
    assert "ufw reload" == commands(entering)[-1]


def test_our_own_chain_that_refuses_what_ipvs_left_is_in_nobodys_way() -> None:
    place = {"table": "groundplane-ipvs", "family": "ip", "priority": 110, "policy": "accept"}
    reject = {"reject": {"type": "tcp reset"}}
    assert [] == found(rules("input", [MARK, reject], **place), EXPOSED, IPVS)  # type: ignore[arg-type]

"""A node as it should be, as facts, and what is found of one that is not."""

import re

from msgspec.structs import replace

from groundplane.doctor import (
    AddressFact,
    Exposed,
    Facts,
    Finding,
    Listener,
    RouteFact,
    diagnose,
)
from groundplane.project.state import NodeBase
from tests.rulesets import tables_of
from tests.states import BASE

OURS = tuple({"table": {"family": table.family, "name": table.name}} for table in tables_of(BASE))
NOTHING = Exposed()
EXPOSED = Exposed(
    addresses=("203.0.113.9",),
    node_ports=(("TCP", 30080), ("UDP", 30053)),
    health_check_ports=(32000,),
)
GOOD = Facts(
    sysctls={
        "net/ipv4/ip_forward": "1",
        "net/ipv6/conf/all/forwarding": "1",
        "net/ipv4/conf/all/rp_filter": "0",
        "net/ipv4/conf/all/send_redirects": "0",
        "net/ipv4/conf/groundplane0/send_redirects": "0",
        "net/netfilter/nf_conntrack_count": "100",
        "net/netfilter/nf_conntrack_max": "262144",
        "net/ipv4/ip_local_port_range": "32768\t60999",
        "net/ipv4/ip_local_reserved_ports": "",
        "net/ipv4/vs/conntrack": "1",
        "net/ipv4/vs/expire_nodest_conn": "1",
    },
    interfaces={"lo": True, "uplink": True, "groundplane0": True},
    addresses=(
        AddressFact("lo", "127.0.0.1", 8),
        AddressFact("uplink", "192.0.2.1", 24),
        AddressFact("uplink", "2001:db8::1", 64),
        AddressFact("groundplane0", "10.244.1.1", 24),
        AddressFact("groundplane0", "fd00:244:0:1::1", 64),
    ),
    routes=(
        RouteFact("0.0.0.0/0", "uplink", "192.0.2.254", 3),
        RouteFact("::/0", "uplink", "2001:db8::fe", 3),
        RouteFact("192.0.2.0/24", "uplink", protocol=2),
        RouteFact("10.244.1.0/24", "groundplane0", protocol=2),
        RouteFact("10.244.1.1/32", "groundplane0", protocol=2, kind="local"),
        RouteFact("10.96.0.0/24", "groundplane0", protocol=71),
        RouteFact("10.244.2.0/24", "uplink", "192.0.2.2", 71),
        RouteFact("10.0.0.0/8", "uplink", "192.0.2.254", 3),  # wider than ours
    ),
    listeners=(Listener("TCP", "0.0.0.0", 22), Listener("UDP", "127.0.0.1", 30053)),
    ruleset=OURS,
)


def sysctls(facts: Facts = GOOD, **changes: str) -> Facts:
    """Return *facts* with settings, whose dots are written __ here."""
    given = {name.replace("__", "/"): value for name, value in changes.items()}
    return replace(facts, sysctls={**facts.sysctls, **given})


def found(facts: Facts, exposed: Exposed = NOTHING, base: NodeBase = BASE) -> list[tuple[str, str]]:
    return [(each.severity, each.subject) for each in diagnose(base, facts, exposed)]


def the(facts: Facts, exposed: Exposed = NOTHING, base: NodeBase = BASE) -> Finding:
    """Return the only finding."""
    (finding,) = diagnose(base, facts, exposed)
    return finding


def commands(finding: Finding) -> list[str]:
    return re.findall("`([^`]+)`", finding.remedy)

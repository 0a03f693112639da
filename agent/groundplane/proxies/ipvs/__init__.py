"""The mode ipvs: rules lead service packets to the kernel's virtual servers. See README.md here."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from groundplane.kernel import owned
from groundplane.project.state import NodeBase, NodeState
from groundplane.proxies.ipvs.catalog import describe, unsupported
from groundplane.proxies.ipvs.findings import findings
from groundplane.proxies.ipvs.firewall import no_openings, openings
from groundplane.proxies.ipvs.test_packets import packets
from groundplane.proxies.proxy import Leftover, Proxy

if TYPE_CHECKING:
    from groundplane.dataplanes import Dataplane
    from groundplane.dataplanes.nftables import Rules


def _rules() -> "Rules":
    from groundplane.proxies.ipvs.rules import RULES

    return RULES


def _plane() -> "Dataplane[Any, Any]":
    from groundplane.proxies.ipvs.plane import IpvsPlane

    return IpvsPlane()


def _files(state: NodeState) -> Mapping[str, str]:
    from groundplane.proxies.ipvs.render import render
    from groundplane.proxies.ipvs.steering import rules as steering_rules
    from groundplane.proxies.ipvs.text import rules

    servers = {k: v for part in state.parts for k, v in render(state.base, part).items()}
    return {"ipvs.nft": steering_rules(state.base), "ipvs.rules": rules(servers)}


def _leftovers(base: NodeBase | None) -> Iterator[Leftover]:
    """Yield the steering of packets to IPVS, and the virtual servers that are ours by *base*."""
    from groundplane.proxies.ipvs.plane import count_servers, remove_servers
    from groundplane.proxies.ipvs.steering import is_there, let_go

    if is_there():
        yield Leftover("what leads packets to IPVS", let_go)
    if base is not None and (count := count_servers(base)):
        yield Leftover(f"{count} virtual servers", partial(remove_servers, base))


def _where_loaded(command: str) -> tuple[str, ...]:
    """Return *command*, to run only if IPVS is already loaded: the query would load it."""
    return "sh", "-c", f"test -e /proc/net/ip_vs || exec echo IPVS is not loaded; exec {command}"


PROXY: Final = Proxy(
    name="ipvs",
    unsupported=unsupported,
    forwards=True,
    describe=describe,
    packages=("ipvsadm",),
    modules=("ip_vs",),
    # IPVS's connections are conntrack's too, so that they can be masqueraded; what is kept at an
    # endpoint that is gone goes to another one, at once. What is too big for a tunnel goes in parts: a
    # client cannot be told of it, since nobody here has the service's address.
    sysctls={
        "net.ipv4.vs.conntrack": 1,
        "net.ipv4.vs.expire_nodest_conn": 1,
        "net.ipv4.vs.expire_quiescent_template": 1,
        "net.ipv4.vs.pmtu_disc": 0,
    },
    openings=openings,
    no_openings=no_openings,
    owns=(
        "IPVS_TABLE",
        "IPVS_LED_AT",
        "IPVS_REFUSED_AT",
        "IPVS_LEFT_AT",
        "IPVS_MARK",
        "IPVS_MARK_MASK",
        "IPVS_LABEL",
        "IPVS_ROUTES",
        "IPVS_RULE",
        "MARK_PROTOCOL_MASK",
        "MARK_PROTOCOLS",
        "MASQUERADE_PORTS",
    ),
    rules=_rules,
    planes={"ipvs": _plane},
    files=_files,
    leftovers=_leftovers,
    labels={
        owned.IPVS_LABEL: "that it has given to IPVS: connections with it are led to IPVS",
    },
    test_packets=packets,
    findings=findings,
    commands={
        "kernel/ipvs.txt": _where_loaded("ipvsadm --list --numeric"),
        "kernel/ipvs-stats.txt": _where_loaded("ipvsadm --list --numeric --stats"),
        "kernel/ipvs-timeouts.txt": _where_loaded("ipvsadm --list --timeout"),
    },
)

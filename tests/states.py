"""States of one node for tests: written by hand, or drawn by hypothesis."""

from collections.abc import Mapping, Sequence

import msgspec
from hypothesis import strategies as st

from groundplane.compile.port_ids import number_pools
from groundplane.compile.resolve import mark_shared
from groundplane.net.address import family_of, pack
from groundplane.net.protocols import Protocol
from groundplane.project.node import capacity, local_workload, project_service
from groundplane.project.select_endpoints import Place
from groundplane.project.state import (
    Member,
    NodeBase,
    NodeState,
    NodeWorkloads,
    Peer,
    Targets,
    VirtualPort,
    VirtualService,
)
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, Sizes, Workload, columns
from groundplane.site.encoding import workload_blocks

DOMAIN = "cluster.local"
HERE = Place("n1", "")
SIZES = Sizes(*(capacity(0) for _ in msgspec.structs.fields(Sizes)))

BASE = NodeBase(
    name="n1",
    domain=DOMAIN,
    families=("IPv4", "IPv6"),
    addresses=("192.0.2.1", "2001:db8::1"),
    subnets=("10.244.1.0/24", "fd00:244:0:1::/64"),
    bridge_addresses=("10.244.1.1", "fd00:244:0:1::1"),
    bridge_mac="02:00:00:00:00:01",
    service_cidrs=("10.96.0.0/24", "fd00:96::/112"),
    workload_cidrs=("10.244.0.0/16", "fd00:244::/48"),
    non_masquerade_cidrs=(),
    egress_masquerade=True,
    forwarders=(),
    peers=(
        Peer("n2", ("192.0.2.2", "2001:db8::2"), ("10.244.2.0/24", "fd00:244:0:2::/64")),
        Peer("n3", ("192.0.2.3", "2001:db8::3"), ("10.244.3.0/24", "fd00:244:0:3::/64")),
    ),
    workloads=(local_workload("default", "a", ("10.244.1.10", "fd00:244:0:1::10")),),
    capacity=SIZES,
)


def of_family(family: str, base: NodeBase = BASE) -> NodeBase:
    """Return *base* as it is in a site of one family."""

    def only(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(text for text in texts if family_of(text) == family)

    return msgspec.structs.replace(
        base,
        families=tuple(each for each in base.families if each == family),
        addresses=only(base.addresses),
        subnets=only(base.subnets),
        bridge_addresses=only(base.bridge_addresses),
        service_cidrs=only(base.service_cidrs),
        workload_cidrs=only(base.workload_cidrs),
        peers=tuple(Peer(p.name, only(p.addresses), only(p.subnets)) for p in base.peers),
        workloads=tuple(
            msgspec.structs.replace(w, addresses=only(w.addresses)) for w in base.workloads
        ),
    )


def target(text: str) -> bytes:
    """Return the packed target of `10.244.1.10:80` or `fd00::1:80`."""
    address, _, port = text.rpartition(":")
    return pack(address) + int(port).to_bytes(2, "big")


def service(
    name: str,
    ips: Sequence[str],
    targets: Sequence[str] = (),
    *,
    port: int = 80,
    protocol: Protocol = "TCP",
    pool: int = 2,
) -> VirtualService:
    """Return a service with one port, named `http`."""
    packed = [target(text) for text in targets]
    return VirtualService(
        "default",
        name,
        tuple(ips),
        (
            VirtualPort(
                "http",
                protocol,
                port,
                pool,
                Targets.of(tuple(each for each in packed if len(each) == 6)),
                Targets.of(tuple(each for each in packed if len(each) == 18)),
            ),
        ),
    )


def headless(name: str, *members: Member) -> VirtualService:
    return VirtualService("default", name, (), (VirtualPort("http", "TCP", 80, 0),), members)


def external_name(name: str, target: str) -> VirtualService:
    return VirtualService("default", name, (), (), external_name=target)


def state(*services: VirtualService, base: NodeBase = BASE) -> NodeState:
    return NodeState.of(base, services)


# ------------------------------------------------------------------------------------------------
# Few names, addresses and numbers, so that services meet, swap and follow each other. Few draws,
# since a state is drawn thousands of times: what endpoints are follows from their numbers.

_NAMES = ("a", "b", "c", "web")
_PORTS = (
    (Port("http", "TCP", 80),),
    (Port("dns", "UDP", 80),),
    (Port("http", "TCP", 80), Port("dns", "UDP", 80)),
    (Port("http", "TCP", 80), Port("more", "TCP", 8080), Port("peers", "SCTP", 80)),
)
_MEMBERS = st.lists(
    st.sampled_from(
        [
            Member("one", "10.244.1.10", (8080,)),
            Member("two", "10.244.2.10", (0,)),
            Member("fd00-244-0-2--9", "fd00:244:0:2::9", (8080,)),
        ]
    ),
    unique=True,
    max_size=3,
)
_OUTSIDE = ("nothing", "external", "balanced", "both", "shared", "shared")
_RANGES = ("192.0.2.0/26", "198.51.100.128/25", "2001:db8::/61", "2001:db8:1::/48")
_WEIGHTS = ((1,), (1,), (1,), (2,), (0, 1), (0, 1, 3, 40))
_READY, _DRAINING, _DOWN = (True, True, False), (False, True, True), (False, False, False)
_CONDITIONS = ((_READY,), (_READY,), (_READY, _DRAINING, _DOWN), (_DRAINING, _DOWN))


@st.composite
def bases(draw: st.DrawFn) -> NodeBase:
    """Draw a base: of either family or both, with some of its peers, workloads and timeouts."""
    base = draw(st.sampled_from([BASE, BASE, BASE, of_family("IPv4"), of_family("IPv6")]))
    return msgspec.structs.replace(
        base,
        peers=tuple(peer for peer in base.peers if draw(st.booleans())),
        workloads=base.workloads if draw(st.booleans()) else (),
        egress_masquerade=draw(st.sampled_from([True, True, True, False])),
        capacity=draw(st.sampled_from([_LARGE, _LARGE, _LARGER])),
        affinity_timeouts=draw(st.sampled_from([(60, 10800), (60, 10800), (10800,), ()])),
        external_cidrs=("203.0.113.0/24", "2001:db8:113::/64"),
    )


_LARGE = Sizes(*(capacity(9000) for _ in msgspec.structs.fields(Sizes)))
_LARGER = msgspec.structs.replace(_LARGE, slots=2 * _LARGE.slots)


@st.composite
def states(draw: st.DrawFn) -> NodeState:
    """Draw a state as `project` makes them: no two services share a place or a pool."""
    base = draw(bases())
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True))
    numbers = dict(zip(names, draw(st.permutations(range(2, 2 + len(_NAMES)))), strict=False))
    parts = [draw(_without_address(name, base)) for name in names if draw(st.integers(0, 2)) == 0]
    for part in parts:
        del numbers[part.name]
    made = draw(services(base, numbers, shift=draw(st.sampled_from([0, 0, 2]))))
    parts += [project_service(each, HERE, frozenset()) for each in made]
    return NodeState.of(base, parts, draw(st.sampled_from([WORKLOADS, WORKLOADS[:1], ()])))


def _workloads_of(node: str, number: int) -> NodeWorkloads:
    addresses = f"10.244.{number}.10", f"fd00:244:0:{number}::10"
    return node_workloads(
        Workload("default", "web-1", node, addresses),
        Workload("store", "db-1", node, addresses[:1]),
    )


def node_workloads(*workloads: Workload) -> NodeWorkloads:
    """Return *workloads*, all of one node, as a part."""
    (block,) = workload_blocks(workloads)
    return NodeWorkloads(block)


WORKLOADS = tuple(_workloads_of(f"n{number}", number) for number in (1, 2))


@st.composite
def full_states(draw: st.DrawFn) -> NodeState:
    """Draw a state of as many services as there are names, each with a cluster IP."""
    base = draw(bases())
    made = draw(services(base, {name: number for number, name in enumerate(_NAMES, start=2)}))
    return state(*(project_service(each, HERE, frozenset()) for each in made), base=base)


@st.composite
def _without_address(draw: st.DrawFn, name: str, base: NodeBase) -> VirtualService:
    """Draw the service *name* as one without a cluster IP: headless, or an ExternalName."""
    if draw(st.booleans()):
        members = draw(_MEMBERS)
        return headless(name, *(m for m in members if family_of(m.address) in base.families))
    return external_name(name, draw(st.sampled_from(["example.org", f"b.default.svc.{DOMAIN}"])))


@st.composite
def services(
    draw: st.DrawFn, base: NodeBase, numbers: Mapping[str, int], *, shift: int = 0
) -> list[compiled.Service]:
    """Draw compiled services by name, with the addresses that their *numbers* say."""
    drawn = [draw(_services(name, numbers[name], base)) for name in sorted(numbers)]
    pools = number_pools((*s.key, p.protocol, p.port) for s in drawn for p in s.ports)
    return [
        msgspec.structs.replace(
            each,
            ports=tuple(
                msgspec.structs.replace(p, pool=pools[*each.key, p.protocol, p.port] + shift)
                for p in each.ports
            ),
        )
        for each in mark_shared(drawn)
    ]


@st.composite
def _services(draw: st.DrawFn, name: str, number: int, base: NodeBase) -> compiled.Service:
    """Draw the service *name*, whose addresses and node ports follow from *number*."""
    families = draw(st.sampled_from([base.families, base.families, base.families[-1:]]))
    ports, outside = draw(st.sampled_from(_PORTS)), draw(st.sampled_from(_OUTSIDE))
    first = draw(st.sampled_from([0, 30000 + 10 * number]))  # of its node ports

    def own(ipv4: str, ipv6: str, last: int) -> tuple[str, ...]:
        return tuple(ipv4 + str(last) if f == "IPv4" else f"{ipv6}{last:x}" for f in families)

    def external(last: int) -> tuple[str, ...]:
        return own("203.0.113.", "2001:db8:113::", last)

    sticky = draw(st.sampled_from([0, 0, *base.affinity_timeouts]))
    hashed = not sticky and draw(st.sampled_from([False, False, True]))
    if hashed:  # 1,021 slots each
        ports = ports[:1]
    if outside == "shared":  # with whoever draws it too, who has other ports then
        ports = tuple(msgspec.structs.replace(p, port=p.port + number) for p in ports)
    balanced = external(number + 16) if outside in ("balanced", "both") else ()
    internal_local, external_local = draw(st.sampled_from(_POLICIES))
    return compiled.Service(
        "default",
        name,
        families,
        own("10.96.0.", "fd00:96::", number),
        tuple(
            msgspec.structs.replace(port, node_port=first and first + index)
            for index, port in enumerate(ports)
        ),
        columns(draw(_endpoints(len(ports)))),
        external_ips={
            "external": external(number),
            "both": external(number),
            "shared": external(1),
        }.get(outside, ()),
        load_balancer_ips=balanced,
        source_ranges=draw(st.sampled_from([(), _RANGES, ("0.0.0.0/0", *_RANGES[2:])])),
        affinity_seconds=sticky,
        consistent_hash=hashed,
        internal_local=internal_local,
        external_local=external_local,
        health_check_port=32000 + number if balanced and external_local else 0,
    )


_POLICIES = ((False, False), (False, False), (True, False), (False, True), (True, True))


@st.composite
def _endpoints(draw: st.DrawFn, ports: int) -> list[Endpoint]:
    """Draw up to 20 endpoints, all on this node or on several, alike or of many kinds."""
    hosts = draw(st.lists(st.integers(2, 30), unique=True, max_size=20))
    nodes = draw(st.sampled_from([("n1",), ("n2",), ("n1", "n2", "n3")]))
    weights, conditions = draw(st.sampled_from(_WEIGHTS)), draw(st.sampled_from(_CONDITIONS))
    partial = draw(st.sampled_from([False, False, True]))  # some lack a family or a port
    found = []
    for host in hosts:
        node = nodes[host % len(nodes)]
        found.append(
            Endpoint(
                f"w{host}",
                node,
                "",
                "" if partial and host % 5 == 0 else f"10.244.{node[1:]}.{host}",
                "" if partial and host % 5 == 1 else f"fd00:244:0:{node[1:]}::{host:x}",
                tuple(0 if partial and (host + n) % 5 == 2 else 8080 + n for n in range(ports)),
                *conditions[host % len(conditions)],
                weights[host % len(weights)],
            )
        )
    return found

"""States of one node for tests: written by hand, or drawn by hypothesis."""

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from groundplane.model.address import family_of, pack
from groundplane.model.compiled import Sizes
from groundplane.model.service import Protocol
from groundplane.pools import number_pools
from groundplane.project.node import capacity, interface_name
from groundplane.project.state import (
    LocalWorkload,
    Member,
    NodeBase,
    NodeState,
    Peer,
    ServicePort,
    Targets,
    VirtualService,
)

SIZES = Sizes(*(capacity(0) for _ in msgspec.structs.fields(Sizes)))

BASE = NodeBase(
    name="n1",
    domain="cluster.local",
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
    workloads=(
        LocalWorkload(
            "default", "a", interface_name("default", "a"), ("10.244.1.10", "fd00:244:0:1::10")
        ),
    ),
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
            LocalWorkload(w.namespace, w.name, w.interface, only(w.addresses))
            for w in base.workloads
        ),
    )


def target(text: str) -> bytes:
    """Return the packed and padded target of `10.244.1.10:80` or `fd00::1:80`."""
    address, _, port = text.rpartition(":")
    return pack(address) + int(port).to_bytes(2, "big") + bytes(2)


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
            ServicePort(
                "http",
                protocol,
                port,
                pool,
                Targets(tuple(each for each in packed if len(each) == 8)),
                Targets(tuple(each for each in packed if len(each) == 20)),
            ),
        ),
    )


def headless(name: str, *members: Member) -> VirtualService:
    return VirtualService("default", name, (), (ServicePort("http", "TCP", 80, 0),), members)


def state(*services: VirtualService, base: NodeBase = BASE) -> NodeState:
    return NodeState(base, {each.key: each for each in services})


# ------------------------------------------------------------------------------------------------
# Few names, addresses and numbers, so that services meet, swap and follow each other.

_NAMES = ("a", "b", "c", "web")
_MEMBERS = st.sampled_from(
    [
        Member("one", "10.244.1.10", (8080,)),
        Member("two", "10.244.2.10", (0,)),
        Member("fd00-244-0-2--9", "fd00:244:0:2::9", (8080,)),
    ]
)


@st.composite
def bases(draw: st.DrawFn) -> NodeBase:
    """Draw a base: of either family or both, with some of its peers and workloads."""
    base = draw(st.sampled_from([BASE, BASE, BASE, of_family("IPv4"), of_family("IPv6")]))
    return msgspec.structs.replace(
        base,
        peers=tuple(peer for peer in base.peers if draw(st.booleans())),
        workloads=base.workloads if draw(st.booleans()) else (),
        egress_masquerade=draw(st.sampled_from([True, True, True, False])),
        capacity=msgspec.structs.replace(SIZES, slots=draw(st.sampled_from([768, 768, 1536]))),
    )


@st.composite
def states(draw: st.DrawFn) -> NodeState:
    """Draw a state in which no two services share an address or a pool, as `project` makes them."""
    base = draw(bases())
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True))
    last = draw(st.permutations(range(2, 2 + len(_NAMES))))
    pools = number_pools(("default", name, "TCP", 80) for name in names)
    shift = draw(st.sampled_from([0, 0, 2]))
    services = []
    for index, name in enumerate(names):
        if draw(st.integers(0, 3)) == 0:
            found = draw(st.lists(_MEMBERS, unique=True, max_size=3))
            services.append(
                headless(name, *(b for b in found if family_of(b.address) in base.families))
            )
            continue
        ips = [
            f"10.96.0.{last[index]}" if family == "IPv4" else f"fd00:96::{last[index]}"
            for family in base.families
        ]
        hosts = draw(st.lists(st.integers(2, 30), unique=True, max_size=20))
        targets = [
            f"10.244.1.{host}:8080" if family == "IPv4" else f"fd00:244:0:1::{host:x}:8080"
            for host in hosts
            for family in base.families
        ]
        pool = pools["default", name, "TCP", 80] + shift
        services.append(service(name, ips, targets, pool=pool))
    return state(*services, base=base)

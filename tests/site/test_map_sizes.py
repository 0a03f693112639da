"""How many elements services need in the kernel's maps, at most."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.project.apportionment import share_out
from groundplane.site.compiled import Endpoint, Port, Service, Sizes, columns
from groundplane.site.map_limits import HASH_SLOTS
from groundplane.site.map_sizes import sizes, slots_of

PORTS = (Port("http", "TCP", 80), Port("dns", "UDP", 53))


def service(*weights: int, **fields: Any) -> Service:
    """Return a service of two ports, with an endpoint for each of *weights*."""
    rows = [
        Endpoint(f"w{n}", "n1", "", f"10.244.1.{n % 200}", "", (8080, 53), weight=weight)
        for n, weight in enumerate(weights)
    ]
    plain = Service("default", "web", ("IPv4",), ("10.96.0.5",), PORTS, columns(rows))
    return msgspec.structs.replace(plain, **fields)


OUTSIDE = {"external_ips": ("203.0.113.5", "203.0.113.6"), "load_balancer_ips": ("203.0.113.7",)}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (service(), Sizes(services=2, addresses=1, external=2, slots=2)),
        (service(1, 1, 1), Sizes(services=2, addresses=1, external=2, slots=6)),
        (service(1, 3), Sizes(services=2, addresses=1, external=2, slots=8)),
        (service(1, **OUTSIDE), Sizes(services=2, addresses=4, external=8, slots=2)),
        (service(1, internal_local=True), Sizes(services=2, addresses=1, external=2, slots=4)),
        (service(1, external_local=True), Sizes(services=2, addresses=1, external=2, slots=4)),
        (service(1, affinity_seconds=5), Sizes(services=2, addresses=1, external=2, sticky=2)),
        (service(1, consistent_hash=True),
         Sizes(services=2, addresses=1, external=2, slots=2 * HASH_SLOTS)),
        (service(cluster_ips=()), Sizes()),
        (Service("default", "out", external_name="example.org"), Sizes()),
    ],
)  # fmt: skip
def test_a_service_needs_its_ports_addresses_and_slots(one: Service, expected: Sizes) -> None:
    assert expected == sizes([one])


@pytest.mark.parametrize(
    ("cidr", "parts"),
    [
        ("192.0.2.0/24", 1),
        ("192.0.2.0/25", 8),
        ("192.0.2.0/26", 4),
        ("192.0.2.0/27", 2),
        ("192.0.2.7/32", 1),
        ("0.0.0.0/0", 1),
        ("2001:db8::/61", 8),
    ],
)
def test_a_source_range_is_split_to_the_next_length_that_is_kept(cidr: str, parts: int) -> None:
    assert 2 * parts == sizes([service(source_ranges=(cidr,))]).ranges
    balanced = service(source_ranges=(cidr,), load_balancer_ips=("203.0.113.6",))
    assert 2 * (parts + 1) == sizes([balanced]).ranges


@given(st.lists(st.sampled_from([service(), service(1, 2), service(1, **OUTSIDE)])))
def test_services_need_what_each_needs(services: list[Service]) -> None:
    each = [msgspec.structs.astuple(sizes([one])) for one in services] or [(0,) * 6]
    assert Sizes(*map(sum, zip(*each, strict=True))) == sizes(services)


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2, 3, 7, 256]), st.booleans()), min_size=1, max_size=300
    )
)
def test_whatever_part_of_the_endpoints_is_ready_it_has_room(
    endpoints: list[tuple[int, bool]],
) -> None:
    """A part may need more slots than the whole has, whose weights have more in common."""
    room = slots_of(service(*(weight for weight, _ in endpoints)))
    assert sum(share_out([weight for weight, _ in endpoints])) <= room
    assert sum(share_out([weight for weight, ready in endpoints if ready])) <= room


def test_four_hundred_endpoints_past_1024_slots_have_room() -> None:
    weights = [3] * 350 + [2] * 25
    assert sum(share_out(weights)) == slots_of(service(*weights))

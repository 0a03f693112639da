"""What one change may do at once."""

import msgspec
import pytest

from groundplane.site.change_limits import held_back
from groundplane.site.compiled import ChangeLimits, Service, Site, columns
from groundplane.site.encoding import encode
from groundplane.site.snapshot import advance, decode
from tests.project.test_update import WORKLOADS, endpoint, service
from tests.site.test_snapshot import EMPTY

SERVICES = tuple(service(number, []) for number in range(1, 100) if number % 3)
BEFORE = msgspec.structs.replace(EMPTY, service_cidrs=("10.96.0.0/16",), services=SERVICES)


def why(after: Site, before: Site = BEFORE) -> str:
    old = decode(encode(before))
    new, keys = advance(old, encode(after))
    return held_back(old, new, keys)


def of(*services: Service, **changes: object) -> Site:
    return msgspec.structs.replace(BEFORE, services=services, **changes)


@pytest.mark.parametrize("gone", [0, 9, 33])
def test_up_to_half_of_all_services_may_go_at_once(gone: int) -> None:
    assert "" == why(of(*SERVICES[gone:]))


def test_more_than_half_is_held_back_and_it_is_said_what_and_how_it_is_let_through() -> None:
    assert (
        "held back: 34 of 66 services would be gone, which is more than removedServices (50 %): "
        "default/s1, default/s10, default/s11, default/s13, default/s14, .... If that is meant, "
        "raise it in spec.changeLimits of the Cluster in the same commit"
    ) == why(of(*SERVICES[34:]))


def test_the_limit_is_that_of_the_new_site() -> None:
    limits = ChangeLimits(removed_services=60)
    assert "" == why(of(*SERVICES[34:], change_limits=limits))
    strict = ChangeLimits(removed_services=1)
    assert "10 of 66" in why(of(*SERVICES[10:], change_limits=strict))


def test_of_a_small_site_everything_may_go() -> None:
    small = of(*SERVICES[:9])
    assert "" == why(of(), small)


def moved(each: Service) -> Service:
    return msgspec.structs.replace(each, cluster_ips=(each.cluster_ips[0].replace(".96.", ".97."),))


def test_ranges_that_change_under_running_services_are_held_back_with_what_would_break() -> None:
    ranges = ("10.97.0.0/16",)
    assert (
        "held back: other ranges (10.96.0.0/16 before, 10.97.0.0/16 now) would give other addresses "
        "to 1 of 66 running services, which is more than renumberedServices (0 %): default/s1 "
        "(10.96.0.2 -> 10.97.0.2). If that is meant, raise it in spec.changeLimits of the Cluster "
        "in the same commit"
    ) == why(of(moved(SERVICES[0]), *SERVICES[1:], service_cidrs=ranges))
    limits = ChangeLimits(renumbered_services=100)
    assert "" == why(of(*map(moved, SERVICES), service_cidrs=ranges, change_limits=limits))


def test_a_larger_range_and_another_family_are_not_held_back() -> None:
    assert "" == why(of(*SERVICES, service_cidrs=("10.96.0.0/12", "fd00:96::/112")))
    both = msgspec.structs.replace(
        SERVICES[0], cluster_ips=("10.96.0.2", "fd00:96::2"), families=("IPv4", "IPv6")
    )
    assert "" == why(of(both, *SERVICES[1:], service_cidrs=("10.96.0.0/16", "fd00:96::/112")))


def test_one_service_may_be_given_another_address_by_its_document() -> None:
    assert "" == why(of(moved(SERVICES[0]), *SERVICES[1:]))


def filled(each: Service, count: int, letters: str = "") -> Service:
    rows = [endpoint(name) for name in WORKLOADS[:count]]
    columns_ = msgspec.structs.replace(columns(rows), conditions=letters)
    return msgspec.structs.replace(each, endpoints=columns_)


FULL = of(*(filled(each, 3) for each in SERVICES[:10]))


@pytest.mark.parametrize(("left", "held"), [(15, False), (14, True)])
def test_up_to_half_of_all_endpoints_may_go_at_once(left: int, held: bool) -> None:
    counts = [2] * (left - 10) + [1] * (20 - left)
    after = of(*(filled(e, n) for e, n in zip(SERVICES[:10], counts, strict=True)))
    reason = "16 of 30 endpoints would be gone, which is more than removedEndpoints (50 %)"
    assert (reason in why(after, FULL)) == held


def test_an_endpoint_that_drains_is_there_and_one_that_is_not_ready_is_not() -> None:
    draining, not_ready = (of(*(filled(e, 3, x) for e in SERVICES[:10])) for x in ("ggg", "ccc"))
    assert "" == why(draining, FULL)
    assert "30 of 30 endpoints" in why(not_ready, FULL)


@pytest.mark.parametrize(("emptied", "held"), [(2, False), (3, True)])
def test_services_that_lose_their_last_endpoint(emptied: int, held: bool) -> None:
    before = of(*(filled(each, 1) for each in SERVICES[:4]), *SERVICES[4:])
    after = of(*SERVICES[:emptied], *(filled(e, 1) for e in SERVICES[emptied:4]), *SERVICES[4:])
    reason = (
        "3 of 4 services would lose their last endpoint, which is more than emptiedServices (50 %)"
    )
    assert (reason in why(after, before)) == held
    assert "" == why(
        msgspec.structs.replace(after, change_limits=ChangeLimits(emptied_services=100)), before
    )

"""How many endpoints of each service are ready, as Prometheus reads it."""

import re

import msgspec

from groundplane.agent.endpoint_counts import NAME, EndpointCounts
from groundplane.project.extent import All, Only
from groundplane.project.select_endpoints import Failing
from groundplane.site.compiled import Service
from groundplane.site.encoding import encode
from groundplane.site.snapshot import Snapshot, decode
from tests.project.test_update import service
from tests.site.test_snapshot import EMPTY

NOBODY: Failing = frozenset()


def of(*services: Service) -> Snapshot:
    return decode(encode(msgspec.structs.replace(EMPTY, services=services)))


def samples(text: bytes) -> dict[str, tuple[int, int]]:
    """Return the ready and the other endpoints of each service."""
    pattern = rf'^{NAME}{{namespace="default",service="(\w+)",state="(\w+)"}} (\d+)$'
    found: dict[str, dict[str, int]] = {}
    for name, state, count in re.findall(pattern, text.decode(), re.MULTILINE):
        found.setdefault(name, {})[state] = int(count)
    return {name: (each["ready"], each["not_ready"]) for name, each in found.items()}


def test_endpoints_whose_workload_fails_are_not_ready() -> None:
    site = of(service(1, ["w0", "w1"]), service(2, []))
    failing = frozenset({("default", "w0")})
    assert {"s1": (1, 1), "s2": (0, 0)} == samples(EndpointCounts().exposition(site, failing))


def test_a_name_for_a_host_outside_has_no_endpoints() -> None:
    outside = Service("default", "s3", external_name="web.test")
    assert {} == samples(EndpointCounts().exposition(of(outside), NOBODY))


def test_only_services_that_changed_are_counted_again() -> None:
    counts = EndpointCounts()
    counts.exposition(of(service(1, ["w0"]), service(2, ["w1"]), service(4, [])), NOBODY)
    after = of(service(1, []), service(2, []))
    counts.changed(Only({("default", "s1"), ("default", "s4")}))
    assert {"s1": (0, 0), "s2": (1, 0)} == samples(counts.exposition(after, NOBODY))
    counts.changed(All())
    assert {"s1": (0, 0), "s2": (0, 0)} == samples(counts.exposition(after, NOBODY))

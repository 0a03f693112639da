"""An edited snapshot has the bytes of the changed site's own."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from groundplane.site.blocks import Key, Kind
from groundplane.site.compiled import FilePlaces, Probe, Service, Site, Workload
from groundplane.site.editing import edited
from groundplane.site.encoding import encode
from groundplane.site.snapshot import decode
from tests.project.test_update import probe, service
from tests.site.test_snapshot import EMPTY

NUMBERS = range(300)
SOME = st.sets(st.integers(0, 299), max_size=12)


def workload(number: int, version: int) -> Workload:
    address = f"10.244.{version}.{number % 250}"
    return Workload("default", f"w{number:03}", f"n{number % 4}", (address,))


def places(file: int, numbers: set[int], changed: set[int]) -> FilePlaces:
    of = sorted(number for number in numbers if number % 5 == file)
    entries = [f"w{n:03} {n + 1 + (n in changed)}" for n in of]
    return FilePlaces(f"folder/a file {file}.yaml", {"Workload/default": entries})


def site(numbers: set[int], changed: set[int]) -> Site:
    """Return a site of objects *numbers*, those of *changed* in another version."""
    return msgspec.structs.replace(
        EMPTY,
        services=tuple(
            service(number, ["w1", "w2"] if number in changed else ["w1"]) for number in numbers
        ),
        probes=tuple(probe(f"w{number:03}", 2 if number in changed else 1) for number in numbers),
        workloads=tuple(workload(number, number in changed) for number in sorted(numbers)),
        places=tuple(places(number % 5, numbers, changed) for number in range(5)),
    )


@given(st.sampled_from([set(), {7}, {*NUMBERS}]), SOME, SOME, SOME, st.booleans())
def test_an_edited_snapshot_is_that_of_the_changed_site(
    at_first: set[int], added: set[int], removed: set[int], changed: set[int], all_go: bool
) -> None:
    """Also where the first line of a block goes, and where nothing is left."""
    removed = {*NUMBERS} if all_go else removed
    before, after = site(at_first, set()), site((at_first | added) - removed, changed)
    differing = added | removed | changed
    services: dict[Key, Service | None] = {service(n, []).key: None for n in differing}
    services |= {each.key: each for each in after.services if each.key in services}
    probes: dict[Key, Probe | None] = {probe(f"w{n:03}", 1).key: None for n in differing}
    probes |= {each.key: each for each in after.probes if each.key in probes}
    nodes = {f"n{number % 4}" for number in differing}
    workloads = {node: [each for each in after.workloads if each.node == node] for node in nodes}
    files = {each.path: each for each in after.places}
    assert encode(after) == edited(
        decode(encode(before)), after, workloads, probes, services, files
    )


def test_a_block_that_loses_its_first_line_joins_the_one_before() -> None:
    before = site({*NUMBERS}, set())
    snapshot = decode(encode(before))
    firsts = [each.first for each in snapshot.blocks if each.first.kind is Kind.SERVICE]
    assert len(firsts) > 3
    for first in firsts:
        services = tuple(each for each in before.services if each.key != first.named)
        after = msgspec.structs.replace(before, services=services)
        assert encode(after) == edited(snapshot, after, {}, {}, {first.named: None}, {})

"""A compiled site as bytes and back, and what changed between two of them."""

import hashlib
from collections.abc import Iterable
from operator import lt

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.errors import StateError
from groundplane.site import compiled
from groundplane.site.blocks import Block, LineKey
from groundplane.site.compiled import Service, Site, Workload
from groundplane.site.encoding import blocks_of, encode, join
from groundplane.site.snapshot import (
    Snapshot,
    advance,
    changed_probes,
    changed_workloads,
    decode,
    revision_of,
    verify,
)
from tests.project.test_update import WORKLOADS, probe, service, sites


def titled(header: bytes) -> bytes:
    digest = hashlib.sha256(header).hexdigest()
    return f"groundplane-site {compiled.FORMAT} {digest}\n".encode() + header


EMPTY = Site(compiled.FORMAT, "cluster.local", (), (), (), True, (), (), (), ())
JSON = msgspec.json.encode(EMPTY)


@given(sites())
def test_it_comes_back_as_it_was(site: Site) -> None:
    found = decode(encode(site))
    assert {*site.services} == {*found.every_service()}
    assert {*site.probes} == {*found.every_probe()}
    for node in ("n1", "n2"):
        seen = found.site(node)
        assert tuple(w for w in site.workloads if w.node == node) == seen.workloads
        assert (
            msgspec.structs.replace(site, services=(), workloads=seen.workloads, probes=()) == seen
        )
    assert encode(site) == encode(site)


def values(snapshot: Snapshot) -> dict[tuple[str, str], Service]:
    return {each.key: each for each in snapshot.every_service()}


@given(sites(), sites())
def test_advancing_gives_the_same_and_what_differs(before: Site, after: Site) -> None:
    old, new = decode(encode(before)), decode(encode(after))
    found, differ = advance(old, encode(after))
    assert new == found
    probes = [{each.key: each for each in side.every_probe()} for side in (old, new)]
    assert changed_probes(old, new) == {key for key, _ in probes[0].items() ^ probes[1].items()}
    every = values(old).keys() | values(new).keys()
    assert differ == {key for key in every if values(old).get(key) != values(new).get(key)}


MANY = tuple(service(number, ["w0"] * (number % 7)) for number in range(10000, 12000))


def of(services: Iterable[Service]) -> Site:
    return msgspec.structs.replace(EMPTY, services=tuple(services))


@given(
    st.sets(st.integers(0, len(MANY) - 1), max_size=60),
    st.sets(st.integers(0, len(MANY) - 1), max_size=60),
)
@settings(max_examples=15)
def test_of_many_blocks_only_what_changed_differs(left_out: set[int], altered: set[int]) -> None:
    changed = [
        msgspec.structs.replace(each, publish_not_ready=True) if number in altered else each
        for number, each in enumerate(MANY)
        if number not in left_out
    ]
    old, new = decode(encode(of(MANY))), decode(encode(of(changed)))
    assert len(old.blocks) > 10
    for one, other in ((old, new), (new, old)):
        after = encode(of(changed if one is old else MANY))
        found, differ = advance(one, after)
        assert other == found
        assert differ == {MANY[number].key for number in left_out | altered}


def test_what_stays_is_the_same_object() -> None:
    old = decode(encode(of(MANY)))
    new, differ = advance(old, encode(of(MANY[:50] + MANY[51:])))
    assert {MANY[50].key} == differ
    kept = {id(block) for block in old.blocks} & {id(block) for block in new.blocks}
    assert len(kept) == len(old.blocks) - 1


@given(sites(), st.sampled_from(["s0", "s3", "s9", "s", "s00", ""]))
def test_a_service_is_found_by_its_key_or_not_at_all(site: Site, name: str) -> None:
    every = {each.key: each for each in site.services}
    snapshot = decode(encode(site))
    assert len(every) == snapshot.service_count
    probes = {each.key: each for each in site.probes}
    for workload in WORKLOADS:
        assert probes.get(("default", workload)) == snapshot.probe(("default", workload))
    for key in (("default", name), ("defaul", name), ("zone", name), ("", name)):
        assert every.get(key) == snapshot.service(key)
    for key, each in every.items():
        assert each == snapshot.service(key)


def test_namespaces_are_in_the_order_of_names_and_not_of_text() -> None:
    """ "a-b/x" is before "a/x", but ("a", "x") before ("a-b", "x")."""
    found = [msgspec.structs.replace(each, namespace=namespace)
             for namespace in ("a", "a-b", "a.b", "b") for each in MANY[:200]]  # fmt: skip
    snapshot = decode(encode(of(found)))
    assert len(snapshot.blocks) > 10
    for each in found:
        assert each == snapshot.service(each.key)


def test_probes_lie_before_the_services_of_every_namespace() -> None:
    """A namespace may begin with a digit, which is before every letter."""
    spaces = ("0", "9-a", "a", "a.b", "z")
    services = [msgspec.structs.replace(each, namespace=space) for space in spaces
                for each in MANY[:100]]  # fmt: skip
    probes = tuple(msgspec.structs.replace(probe(f"w{number}", 1), namespace=space)
                   for space in spaces for number in range(100))  # fmt: skip
    snapshot = decode(encode(msgspec.structs.replace(of(services), probes=probes)))
    for each in services:
        assert each == snapshot.service(each.key)
    for one in probes:
        assert one == snapshot.probe(one.key)
    assert len(services) == snapshot.service_count
    assert {*probes} == {*snapshot.every_probe()}


def test_of_many_probes_those_that_changed_are_told() -> None:
    probes = [probe(f"w{number}", 1) for number in range(2000)]
    old = decode(encode(msgspec.structs.replace(EMPTY, probes=tuple(probes))))
    probes[7] = probe("w7", 2)
    encoded = encode(msgspec.structs.replace(EMPTY, probes=(*probes[:9], *probes[10:])))
    new, services = advance(old, encoded)
    assert set() == services
    assert {("default", "w7"), ("default", "w9")} == changed_probes(old, new)


def test_a_revision_is_named_by_its_content() -> None:
    one, two = (encode(of(MANY[:count])) for count in (5, 6))
    assert revision_of(one) == revision_of(encode(of(MANY[:5]))) != revision_of(two)
    assert 12 == len(revision_of(one))


SMALL = encode(of(MANY[:100]))


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
def test_no_bit_can_change_unseen(at: int, by: int) -> None:
    broken = SMALL[:at] + bytes([SMALL[at] ^ by]) + SMALL[at + 1 :]
    with pytest.raises(StateError):
        verify(broken)
    with pytest.raises(StateError):
        advance(decode(encode(EMPTY)), broken)


@given(st.integers(0, len(SMALL) - 1))
def test_no_part_of_it_is_taken_for_the_whole(length: int) -> None:
    with pytest.raises(StateError):
        decode(SMALL[:length])


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "not a compiled site: it begins with b''"),
        (b"{}\n", "not a compiled site: it begins with b'{}'"),
        (encode(EMPTY)[:-1], "not a compiled site: its header does not match its digest"),
        (
            encode(EMPTY) + b"x",
            "not a compiled site: it is cut off, or has something behind its end",
        ),
        (SMALL[:-1], "not a compiled site: it is cut off, or has something behind its end"),
        (encode(msgspec.structs.replace(EMPTY, format=999)), "a compiled site of format 999"),
        (titled(b"[]\n\n"), "not a compiled site: Expected `object`, got `array`"),
        (titled(b"{}\n\n"), "not a compiled site: Object missing required field `format`"),
        (titled(b'{"domain": "\xff"}\n\n'), "not a compiled site: 'utf-8' codec can't decode"),
        (titled(JSON + b"\nweb 1 1 00\n\n"), "not a compiled site: a block is described as b'web"),
    ],
)
def test_what_is_no_snapshot_is_an_error(encoded: bytes, message: str) -> None:
    with pytest.raises(StateError) as error:
        decode(encoded)
    assert message in str(error.value)


def test_a_service_that_is_none_is_an_error_where_it_is_needed() -> None:
    broken = Block(b"", LineKey.parsed("default/web"), 1, b"default/web\t{}\n")
    snapshot = Snapshot(EMPTY, [broken])
    with pytest.raises(StateError, match="missing required field `namespace`"):
        snapshot.service(("default", "web"))
    with pytest.raises(StateError, match="missing required field `namespace`"):
        list(snapshot.every_service())


def test_a_workload_that_comes_or_goes_concerns_its_node_alone() -> None:
    workloads = tuple(
        Workload("default", f"w{number}", f"n{number % 3}", (f"10.244.0.{number}",))
        for number in range(9)
    )
    old = decode(encode(msgspec.structs.replace(EMPTY, workloads=workloads)))
    new, services = advance(
        old, encode(msgspec.structs.replace(EMPTY, workloads=workloads[:4] + workloads[5:]))
    )
    assert ({"n1"}, set()) == ({*changed_workloads(old, new)}, services)
    assert [3, 2, 3] == [len(each) for each in new.every_node_workloads()]
    none, _ = advance(new, encode(EMPTY))
    assert dict.fromkeys(("n0", "n1", "n2")) == changed_workloads(new, none)


@pytest.mark.parametrize(
    ("numbers", "in_order"),
    [
        ([1, 2, 3], True),
        ([1, 3, 2], False),
        ([1, 2, 2], False),
        ([3, 1, 2], False),
        (range(100, 300), True),
        (range(300, 100, -1), False),  # of several blocks
    ],
)
def test_services_that_are_not_in_the_order_of_their_keys_are_refused(
    numbers: Iterable[int], in_order: bool
) -> None:
    """They are looked up by that order. A hostile server can make digests that fit any order."""
    written = join(EMPTY, [*blocks_of(service(number, []) for number in numbers)])
    for takes in (verify, lambda encoded: advance(decode(encode(EMPTY)), encoded)):
        if in_order:
            takes(written)
        else:
            with pytest.raises(StateError, match=r"what begins at .* is not in order$"):
                takes(written)


@given(
    st.lists(st.integers(100, 400), min_size=1, max_size=4), st.integers(100, 400), st.booleans()
)
def test_a_change_of_a_snapshot_must_leave_it_in_order(
    moved: list[int], to: int, is_copied: bool
) -> None:
    """Also where all blocks are known, and only their order is another."""
    numbers = [*range(100, 400)]
    old = decode(join(EMPTY, [*blocks_of(service(number, []) for number in numbers)]))
    left = numbers if is_copied else [each for each in numbers if each not in moved]
    changed = [*left[: to - 100], *moved, *left[to - 100 :]]
    written = join(EMPTY, [*blocks_of(service(number, []) for number in changed)])
    if all(map(lt, changed, changed[1:])):
        new, keys = advance(old, written)
        assert {("default", f"s{each}") for each in {*numbers} ^ {*changed}} == keys
        assert changed == [int(each.name[1:]) for each in new.every_service()]
    else:
        with pytest.raises(StateError, match=r"what begins at .* is not in order$"):
            advance(old, written)


def test_known_blocks_in_another_order_are_refused() -> None:
    blocks = [*blocks_of(service(number, []) for number in range(100, 400))]
    with pytest.raises(StateError, match=r"what begins at .* is not in order$"):
        advance(decode(join(EMPTY, blocks)), join(EMPTY, [*blocks[1:], blocks[0]]))

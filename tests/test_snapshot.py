"""A compiled site as bytes and back, and what changed between two of them."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.errors import StateError
from groundplane.model import compiled
from groundplane.model.compiled import Service, Site
from groundplane.snapshot import Snapshot, advance, decode, encode
from tests.project.test_update import service, sites

EMPTY = Site(compiled.FORMAT, "cluster.local", (), (), (), True, (), (), (), ())


@given(sites())
def test_it_comes_back_as_it_was(site: Site) -> None:
    found = decode(encode(site))
    assert {*site.services} == {*found.every_service()}
    for node in ("n1", "n2"):
        seen = found.site(node)
        assert tuple(w for w in site.workloads if w.node == node) == seen.workloads
        assert msgspec.structs.replace(site, services=(), workloads=seen.workloads) == seen
    assert encode(site) == encode(site)


def values(snapshot: Snapshot) -> dict[tuple[str, str], bytes]:
    return {key: span.value for key, span in snapshot.services.items()}


def same(one: Snapshot, other: Snapshot) -> bool:
    first, second = (
        {name: span.value for name, span in each.workloads.items()} for each in (one, other)
    )
    return (one.head, values(one), first) == (other.head, values(other), second)


@given(sites(), sites())
def test_advancing_gives_the_same_and_what_differs(before: Site, after: Site) -> None:
    old, new = decode(encode(before)), decode(encode(after))
    found, differ = advance(old, encode(after))
    assert same(new, found)
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
        assert same(other, found)
        assert differ == {MANY[number].key for number in left_out | altered}


def test_what_stays_is_the_same_object() -> None:
    old = decode(encode(of(MANY)))
    new, differ = advance(old, encode(of(MANY[:50] + MANY[51:])))
    assert {MANY[50].key} == differ
    kept = {id(block) for block in old.blocks} & {id(block) for block in new.blocks}
    assert len(kept) == len(old.blocks) - 1


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "no compiled site: Input data was truncated"),
        (b"[]\n", "no compiled site: Expected `object`, got `array`"),
        (b'{"domain": "\xff"}\n', "no compiled site: 'utf-8' codec can't decode"),
        (b"{}\n", "no compiled site: Object missing required field `format`"),
        (encode(EMPTY)[:-1], "no compiled site: its last line is cut off"),
        (encode(EMPTY) + b"default/web", "no compiled site: its last line is cut off"),
        (encode(EMPTY) + b"default/web\n", "no compiled site: a line starts with b'default/web'"),
        (encode(msgspec.structs.replace(EMPTY, format=999)), "a compiled site of format 999"),
    ],
)
def test_what_is_no_snapshot_is_an_error(encoded: bytes, message: str) -> None:
    with pytest.raises(StateError) as error:
        decode(encoded)
    assert message in str(error.value)

"""A compiled site as bytes and back, and what changed between two of them."""

import msgspec
import pytest
from hypothesis import given

from groundplane.errors import StateError
from groundplane.model import compiled
from groundplane.model.compiled import Site
from groundplane.snapshot import advance, decode, encode
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


@given(sites(), sites())
def test_advancing_gives_the_same_and_what_differs(before: Site, after: Site) -> None:
    old, new = decode(encode(before)), decode(encode(after))
    found, differ = advance(old, encode(after))
    assert (new.head, new.services, new.workloads) == (found.head, found.services, found.workloads)
    every = old.services.keys() | new.services.keys()
    assert differ == {key for key in every if old.services.get(key) != new.services.get(key)}


def test_what_stays_is_the_same_object() -> None:
    many = tuple(service(number, []) for number in range(100, 200))
    old = decode(encode(msgspec.structs.replace(EMPTY, services=many)))
    shorter = msgspec.structs.replace(EMPTY, services=many[:50] + many[51:])
    new, differ = advance(old, encode(shorter))
    assert {("default", "s150")} == differ
    assert [] == [key for key, line in new.services.items() if line is not old.services[key]]


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

"""A compiled site has canonical values alone, whatever somebody writes into a snapshot of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.allocate import Lock, allocate
from groundplane.compile.pipeline import compile_source
from groundplane.compile.resolve import compile_site
from groundplane.dataplanes.dns import server_config
from groundplane.errors import StateError
from groundplane.load import load
from groundplane.project import project_base
from groundplane.site.compiled import Overlay, Probe, Site, StubZone
from groundplane.site.encoding import encode
from groundplane.site.snapshot import advance, decode, verify, verify_values
from tests.rulesets import framework

HOSTILE = [
    "\n", "x\ny", "}", "{ }", "; drop", "../../etc/x", "/", "a b", "-o", "{{ x }}", "$(id)", "`id`",
    "\"", "'", "\\", "\0", "\x1b[2J", "é", "%n", "#", "10.0.0.0/8\n", "fd00::1%eth0",
]  # fmt: skip
# Text that documents may choose freely, as far as a program can be given it.
FREE = {"command", "path", "host", "headers", "service"}
Path_ = tuple[Any, ...]


HTTP = Probe(
    "default", "web-1", "n1", "http", 0, 10, 1, 1, 3, "10.244.1.10", 80, "/", "web", (("X-Y", "z"),)
)
EXEC = Probe("default", "web-2", "n2", "exec", 0, 10, 1, 1, 3, command=("true",),
             instance="default-web-2")  # fmt: skip
# The example, with a value in every field.
SITE: Final = msgspec.structs.replace(
    compile_source(Path(__file__).parents[2] / "examples/lab"),
    overlay=Overlay("vxlan", 7071, 4790),
    probes=(HTTP, EXEC),
    forwarders=("192.0.2.53", "2001:db8::53"),
    tls_server_name="dns.example.test",
    stub_zones=(StubZone("corp.example.test", ("192.0.2.54",)),),
    non_masquerade_cidrs=("192.0.2.0/24",),
    external_cidrs=("203.0.113.0/24",),
)


@pytest.fixture
def site() -> Site:
    return SITE


def leaves(value: Any, kind: type, path: Path_ = ()) -> Iterator[Path_]:
    """Yield where *value*, of builtin types, has a leaf of *kind*."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, kind, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, kind, (*path, index))
    elif type(value) is kind:
        yield path


def replaced(value: Any, path: Path_, new: object) -> Any:
    """Return a copy of *value* with *new* at *path*."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def changed(site: Site, path: Path_, new: object) -> Site | None:
    """Return *site* with *new* at *path*; None where its type alone forbids that."""
    try:
        return msgspec.convert(replaced(as_builtins(site), path, new), Site)
    except msgspec.ValidationError:
        return None


def as_builtins(site: Site) -> Any:
    return msgspec.json.decode(msgspec.json.encode(site))


def is_free(path: Path_) -> bool:
    """Whether the field at *path* is one of FREE of a probe, which is an array, or a file's path."""
    if path[0] == "places":
        return bool(path[2] == "path")
    return path[0] == "probes" and path[2] in (11, 12, 13, 14, 15)


def test_what_documents_come_to_is_taken(site: Site) -> None:
    verify_values(encode(site))
    source = Path(__file__).parents[1] / "conformance"
    catalog = load(source)
    verify_values(encode(compile_site(catalog, allocate(catalog, Lock()))))


def test_no_text_is_taken_that_no_document_comes_to(site: Site) -> None:
    """Every text of the site in turn; free ones are those that a probe sends or runs."""
    texts = [path for path in leaves(as_builtins(site), str) if not is_free(path)]
    assert len(texts) > 100
    taken, printable = [], [True]
    for path in texts:
        for text in HOSTILE:
            if (hostile := changed(site, path, text)) is None:
                continue
            try:
                verify_values(encode(hostile))
            except StateError as error:
                printable.append(str(error).isprintable())
            else:
                taken.append((path, text))
    assert [] == taken
    assert all(printable)


def test_no_number_is_taken_that_no_document_comes_to(site: Site) -> None:
    numbers = [*leaves(as_builtins(site), int)]
    assert len(numbers) > 50
    taken = []
    for path in numbers:
        for number in (-1, 1 << 40):
            if (wrong := changed(site, path, number)) is None:
                continue
            try:
                verify_values(encode(wrong))
            except StateError:
                continue
            taken.append((path, number))
    assert {path for path, _ in taken} <= {("format",)}


@pytest.mark.parametrize("header", ["X\r\nY: z", "x y", ""])
def test_a_header_of_a_probe_is_one_line(site: Site, header: str) -> None:
    (index,) = [n for n, each in enumerate(site.probes) if each.kind == "http"][:1]
    for path, text in (((13,), [[header or " ", "v"]]), ((13,), [["X-Y", "v\r\nZ: 1"]]),
                       ((11,), "/ HTTP/1.1\r\nX: y"), ((12,), "a\r\nX: y"), ((16,), "other")):  # fmt: skip
        hostile = changed(site, ("probes", index, *path), text)
        assert hostile is not None
        with pytest.raises(StateError, match="not a compiled site: !"):
            verify_values(encode(hostile))


def test_root_reads_no_name_of_a_workload_that_no_document_has(site: Site) -> None:
    """`groundplane netns up` makes files and namespaces of it, from what the agent's user keeps."""
    index = next(n for n, each in enumerate(site.workloads) if each.node == "n1")
    for path, text in (((0,), "../../etc"), ((1,), "x/../y"), ((3, 0), "10.0.0.1/8 dev lo")):
        hostile = changed(site, ("workloads", index, *path), text)
        assert hostile is not None
        kept = encode(hostile)
        verify(kept)
        with pytest.raises(StateError, match="the workloads of n1"):
            decode(kept).site("n1")


def test_a_change_is_looked_at_as_well(site: Site) -> None:
    """What is in use is kept, and of the other only what differs is read."""
    old = decode(encode(site))
    for path in (("services", 0, "name"), ("workloads", 0, 1), ("probes", 0, 2), ("domain",)):
        hostile = changed(site, path, "x\ny")
        assert hostile is not None
        with pytest.raises(StateError):
            advance(old, encode(hostile))


def rendered(site: Site) -> list[str]:
    base = project_base(site, site.nodes[0].name)
    return (framework(base) + server_config(base)).splitlines()


@given(
    path=st.sampled_from([
        path for path in leaves(as_builtins(SITE), str)
        if path[0] not in ("services", "probes", "workloads")
    ]),
    text=st.text(min_size=1, max_size=20) | st.sampled_from(HOSTILE),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_text_adds_a_line_to_rules_or_to_the_name_servers_configuration(
    path: Path_, text: str
) -> None:
    hostile = changed(SITE, path, text)
    if hostile is None:
        return
    try:
        verify_values(encode(hostile))
    except StateError:
        return
    assert [each.split()[:1] for each in rendered(SITE)] == [
        each.split()[:1] for each in rendered(hostile)
    ]

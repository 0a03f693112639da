"""Compiling with a cache: the same bytes and the same errors as a whole compile, after any change."""

import os
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings

from groundplane.allocate import LOCK_NAME
from groundplane.compile import port_ids
from groundplane.compile.cached import compile_encoded
from groundplane.compile.pipeline import compile_source
from groundplane.compile.port_ids import POOLS
from groundplane.site.encoding import encode
from groundplane.site.snapshot import decode
from tests.compile.edits import (
    EDITS,
    OPERATIONS,
    Edits,
    lock,
    ours,
    outcome,
    ports,
    service,
    site,
    small_site,
    write,
)


@pytest.fixture(params=[POOLS, 64], ids=["as it is", "crowded"])
def numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let service ports have so few numbers that one that comes or goes moves others."""
    monkeypatch.setattr(port_ids, "POOLS", request.param)


@pytest.mark.usefixtures("numbers")
@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(EDITS)
def test_after_any_change_it_is_what_a_whole_compile_is(
    edits: list[tuple[str, int, int, bool]],
) -> None:
    """Each edit is compiled, with the lock written before it is, or left as it was."""
    with TemporaryDirectory() as name:
        directory = Path(name) / "site"
        directory.mkdir()
        files = site()
        write(files, directory)
        lock(directory)
        cache = ours(Path(name))
        assert compile_encoded(directory, cache) == encode(compile_source(directory))
        for what, one, other, is_locked in edits:
            OPERATIONS[what](Edits(files, directory), one, other)
            write(deepcopy(files), directory)
            if is_locked:
                lock(directory)
            whole = outcome(lambda: encode(compile_source(directory)))
            assert whole == outcome(lambda: compile_encoded(directory, cache)), what


def both(directory: Path, root: Path) -> list[bytes | str]:
    """Return what a whole compile and one with the cache come to."""
    whole = outcome(lambda: encode(compile_source(directory)))
    return [whole, outcome(lambda: compile_encoded(directory, ours(root)))]


def is_alike(directory: Path, root: Path) -> bool:
    one, other = both(directory, root)
    return one == other


def test_the_aliases_of_a_copied_file_count_twice(tmp_path: Path) -> None:
    directory = small_site(tmp_path)
    once = "x" * (1 << 20)
    text = (
        f"apiVersion: v1\nkind: ConfigMap\ndata:\n  a: &a {once}\n  b: [{', '.join(['*a'] * 9)}]\n"
    )
    for name in ("one.yaml", "two.yaml"):
        (directory / name).write_text(text)
        assert is_alike(directory, tmp_path)
    assert "aliases come to more than 16 MiB" in str(both(directory, tmp_path)[1])


def test_what_a_whole_compile_says_first_is_said_first(tmp_path: Path) -> None:
    """The lock cannot be read, and a document has a fault."""
    directory = small_site(tmp_path)
    assert is_alike(directory, tmp_path)
    (directory / LOCK_NAME).unlink()
    (directory / LOCK_NAME).mkdir()
    files = site()
    files["a.yaml"][0]["spec"]["ports"] = []
    write(files, directory)
    assert is_alike(directory, tmp_path)


@pytest.mark.parametrize("count", [6_000, 10_500])
def test_very_many_faults_are_as_many(tmp_path: Path, count: int) -> None:
    directory = small_site(tmp_path)
    for name in ("many.yaml", "more.yaml"):
        (directory / name).write_text("---\n".join(["kind: x\n"] * count))
    assert is_alike(directory, tmp_path)


def test_a_name_of_a_file_need_not_be_text(tmp_path: Path) -> None:
    directory = small_site(tmp_path)
    for weight in (1, 2):
        files = site()
        files["sub/w-0.yaml"][0]["spec"]["weight"] = weight
        write(files, directory)
        (directory / "a.yaml").rename(os.fsdecode(os.fsencode(directory) + b"/\xff.yaml"))
        assert is_alike(directory, tmp_path)
    found = decode(encode(compile_source(directory))).places(["Service/a/s0"])
    assert {"Service/a/s0": "\ufffd.yaml:1"} == found


def test_a_slice_of_kubernetes_need_not_name_a_service(tmp_path: Path) -> None:
    directory = small_site(tmp_path)
    files = site()
    labels = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    files["a.yaml"][-1]["metadata"]["labels"] = labels
    write(files, directory)
    assert isinstance(both(directory, tmp_path)[0], bytes)
    assert is_alike(directory, tmp_path)


def test_an_address_that_another_namespace_holds_is_no_new_one(tmp_path: Path) -> None:
    """The other holder is not concerned by the change."""
    directory = small_site(tmp_path)
    assert is_alike(directory, tmp_path)
    path = directory / LOCK_NAME
    held = dict(line.split(" ", 1) for line in path.read_text().splitlines()[1:])
    held["Service/a/s3"] = held["Service/a-b/s3"]
    path.write_text("".join(sorted(f"{name} {value}\n" for name, value in held.items())))
    assert is_alike(directory, tmp_path)
    assert "is held by" in str(both(directory, tmp_path)[1])


def test_a_service_that_changes_keeps_its_shared_addresses(tmp_path: Path) -> None:
    """The earlier service of the address is not concerned by the change."""
    directory, files = small_site(tmp_path), site()
    for number, each in enumerate(files["a.yaml"][:2]):
        each["spec"] |= {"externalIPs": ["203.0.113.1"], "ports": ports(number)}
    for selected in ("app-1", "app-2"):
        files["a.yaml"][1]["spec"]["selector"] = {"app": selected}
        write(files, directory)
        lock(directory)
        assert is_alike(directory, tmp_path)
    changed = decode(compile_encoded(directory, ours(tmp_path))).service(("a", "s1"))
    assert changed and changed.shared == ("203.0.113.1",)


def test_a_service_that_another_ones_port_renumbers_keeps_its_shared_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_ids, "POOLS", 32)
    directory, files = small_site(tmp_path), site()
    for number, each in enumerate(files["a-b.yaml"][:4]):
        each["spec"] |= {"externalIPs": ["203.0.113.1"], "ports": ports(number)}
    numbers = set()
    for number in range(30, 46):
        files["a.yaml"].append(service(number, "a"))
        write(files, directory)
        lock(directory)
        assert is_alike(directory, tmp_path)
        snapshot = decode(compile_encoded(directory, ours(tmp_path)))
        shared = [snapshot.service(("a-b", f"s{each}")) for each in range(4)]
        numbers.add(tuple(each.ports[0].pool for each in shared if each))
    assert len(numbers) > 1, "no service was renumbered"

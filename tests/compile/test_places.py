"""Places: where each object is written, apart from what a site comes to."""

import json
from pathlib import Path

import msgspec
import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.project import project_base, project_change, project_snapshot
from groundplane.project.extent import Only
from groundplane.site import compiled
from groundplane.site.blocks import Kind
from groundplane.site.encoding import encode
from groundplane.site.snapshot import advance, changed_probes, changed_workloads, decode
from tests.compile.edits import lock, service, small_site


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return small_site(tmp_path)


def test_each_object_has_the_file_and_the_line_of_its_document(directory: Path) -> None:
    """The comments above a document belong to it."""
    found = decode(encode(compile_source(directory)))
    wanted = {"Service/a/s1", "Workload/a-b/w0", "Node/n1", "Service/a/none", "Cluster/test"}
    assert {
        "Service/a/s1": "a.yaml:4",
        "Workload/a-b/w0": "sub/w-1.yaml:1",
        "Node/n1": "cluster.yaml:6",
        "Cluster/test": "cluster.yaml:1",
    } == found.places(wanted)


def test_of_many_objects_all_are_found(directory: Path) -> None:
    found = decode(encode(compile_source(directory)))
    every = [f"Service/{space}/s{n}" for space in ("a", "a-b") for n in range(5)]
    every += [f"Workload/{space}/w{n}" for space in ("a", "a-b") for n in range(6)]
    assert len(every) > 20
    assert {each: found.places([each])[each] for each in every} == found.places(every)


def test_an_item_of_a_list_has_its_line(directory: Path) -> None:
    items = "".join(f"- {json.dumps(service(number, 'a'))}\n" for number in (30, 31))
    (directory / "list.yaml").write_text(f"# two\napiVersion: v1\nkind: List\nitems:\n{items}")
    lock(directory)
    found = decode(encode(compile_source(directory)))
    assert {"Service/a/s31": "list.yaml:6"} == found.places(["Service/a/s31"])


def test_an_item_without_a_line_of_its_own_has_its_path(directory: Path) -> None:
    items = [service(number, "a") for number in (30, 31)]
    listed = msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": items})
    (directory / "list.json").write_bytes(listed)
    lock(directory)
    found = decode(encode(compile_source(directory)))
    assert {"Service/a/s31": "list.json:1 items[1]"} == found.places(["Service/a/s31"])


def test_a_file_may_have_any_name(directory: Path) -> None:
    (directory / "a.yaml").rename(directory / "ein Ordner%2F\nÄ.yaml")
    found = decode(encode(compile_source(directory)))
    assert {"Service/a/s0": r"ein Ordner%2F\nÄ.yaml:1"} == found.places(["Service/a/s0"])


def test_a_line_at_the_top_of_a_file_changes_the_places_alone(directory: Path) -> None:
    old = decode(encode(compile_source(directory)))
    path = directory / "sub" / "w-0.yaml"
    path.write_text(f"# a line\n{path.read_text()}")
    new, keys = advance(old, encode(compile_source(directory)))
    assert (set(), {}, set()) == (keys, changed_workloads(old, new), changed_probes(old, new))
    assert [Kind.PLACES] == [each.first.kind for each in new.blocks if each not in old.blocks]
    state = project_snapshot(old, "n0", frozenset())
    changed, extent = project_change(state, old, new, keys, frozenset())
    assert Only(set(), {}.keys()) == extent
    assert state.base is changed.base
    assert (state.services, state.workloads) == (changed.services, changed.workloads)
    assert {"Workload/a/w1": "sub/w-0.yaml:5"} == new.places(["Workload/a/w1"])


def test_a_site_of_the_format_without_places_is_read_and_comes_to_the_same(
    directory: Path,
) -> None:
    """A node that is upgraded begins with it: the site that comes then changes nothing."""
    now = compile_source(directory)
    before = msgspec.structs.replace(now, format=compiled.FORMAT - 1, places=())
    old = decode(encode(before))
    assert {} == old.places(["Service/a/s1"])
    new, keys = advance(old, encode(now))
    assert (set(), {}) == (keys, changed_workloads(old, new))
    assert project_base(old.site("n0"), "n0") == project_base(new.site("n0"), "n0")

"""The catalog that a deploy reads, and what of it nodes get."""

from pathlib import Path

import pytest

from groundplane_deploys.catalog import source_files
from tests.catalogs import write


def test_nodes_get_what_the_loader_reads_and_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ("a.yaml", "deep/b.yml", "deep/c.json", "addresses.lock", "deep/.groundplaneignore")
    write(
        tmp_path, dict.fromkeys((*read, "README.md", ".git/d.yaml", ".e.yaml", "deep/text"), "text")
    )
    monkeypatch.setenv("GROUNDPLANE_SOURCE", str(tmp_path))
    assert {name: tmp_path / name for name in read} == source_files()

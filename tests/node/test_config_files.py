"""A node's whole configuration as text: golden cases, YAML in and every node's files out.

`pytest --update-golden tests/node/test_config_files.py` writes what is rendered now; read the difference.
"""

import shutil
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.node.config_files import node_files
from groundplane.project import project

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir())


def rendered(case: Path) -> dict[str, str]:
    """Return every file of every node of *case* by its name below the case."""
    site = compile_source(case)
    return {
        f"{node.name}/{name}": text
        for node in site.nodes
        for name, text in node_files(project(site, node.name, frozenset())).items()
    }


def kept(case: Path) -> dict[str, str]:
    folders = [path for path in case.iterdir() if path.is_dir()]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(case)): path.read_text() for path in files}


@pytest.mark.parametrize("case", CASES)
def test_the_files_of_every_node_are_the_golden_ones(
    case: str, pytestconfig: pytest.Config
) -> None:
    wanted = rendered(GOLDEN / case)
    if pytestconfig.getoption("--update-golden"):
        for folder in {name.split("/")[0] for name in kept(GOLDEN / case)}:
            shutil.rmtree(GOLDEN / case / folder)
        for name, text in wanted.items():
            path = GOLDEN / case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    assert kept(GOLDEN / case) == wanted


@pytest.mark.parametrize("case", CASES)
def test_rendering_is_the_same_each_time(case: str) -> None:
    assert rendered(GOLDEN / case) == rendered(GOLDEN / case)


@pytest.mark.parametrize("case", CASES)
def test_every_node_has_the_same_zones(case: str) -> None:
    by_node: dict[str, dict[str, str]] = {}
    for name, text in rendered(GOLDEN / case).items():
        node, _, file = name.partition("/")
        if file.startswith("zones/"):
            by_node.setdefault(node, {})[file] = text
    first, *others = by_node.values()
    assert all(first == other for other in others)

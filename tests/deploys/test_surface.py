"""The deploys use one module of the package, and what only computes asks and changes no host."""

import ast
from collections.abc import Iterator
from pathlib import Path

from groundplane import deploy_api
from groundplane_deploys.catalog import ROOT

DEPLOYS = sorted((ROOT / "deploys").rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for each in ast.walk(ast.parse(path.read_text())):
        if isinstance(each, ast.ImportFrom) and each.module:
            yield each.module
        elif isinstance(each, ast.Import):
            yield from (name.name for name in each.names)


def test_deploys_import_one_module_of_the_package() -> None:
    found = {name for path in DEPLOYS for name in imported(path)}
    ours = {name for name in found if name.split(".")[0] == "groundplane"}
    assert {"groundplane.deploy_api"} == ours
    assert not any(name.split(".")[0] == "deploys" for name in found)


def test_a_plan_asks_and_changes_no_host() -> None:
    plans = [path for path in DEPLOYS if "plan" in path.relative_to(ROOT / "deploys").parts]
    assert len(plans) > 15
    others = (
        "pyinfra",
        "subprocess",
        "groundplane_deploys.facts",
        "groundplane_deploys.operations",
    )
    assert {} == {
        str(path): names
        for path in plans
        if (names := [name for name in imported(path) if name.startswith(others)])
    }


def test_the_surface_says_what_it_has() -> None:
    names = deploy_api.__all__
    assert len(names) == len(set(names))
    assert [] == [name for name in names if not hasattr(deploy_api, name)]
    used = "".join(path.read_text() for path in DEPLOYS)
    assert [] == [name for name in names if name not in used]

"""Each public class and type of the package has a name of its own."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "agent" / "groundplane"
# What a person wrote, and what it compiles to.
PAIRS: Final = frozenset(
    {
        "ChangeLimits",
        "Endpoints",
        "Ipvs",
        "Node",
        "Overlay",
        "Probe",
        "Service",
        "StubZone",
        "Workload",
    }
)


def public_types(path: Path) -> Iterator[str]:
    """Yield the names of the classes, and of the aliases of types, that a module defines."""
    for each in ast.parse(path.read_text()).body:
        if isinstance(each, ast.ClassDef):
            names = [each.name]
        elif isinstance(each, ast.Assign):
            names = [target.id for target in each.targets if isinstance(target, ast.Name)]
        else:
            continue
        yield from (name for name in names if name[0].isupper() and not name.isupper())


def test_no_two_modules_define_one_name() -> None:
    places = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in public_types(path):
            places[name].append(str(path.relative_to(PACKAGE)))
    assert len(places) > 250
    assert {} == {name: at for name, at in places.items() if len(at) > 1 and name not in PAIRS}

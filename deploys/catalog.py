"""The catalog as the deploys use it: where it is, and what each node has to be by it."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Final

from groundplane.deploy_api import (
    Catalog,
    GroundplaneError,
    NodeState,
    allocate_source,
    compile_source,
    compiled,
    encode,
    project,
    read_catalog,
    require_current,
    revision_of,
    tree_of,
)

ROOT = Path(__file__).resolve().parents[1]
IS_CHECKOUT: Final = (ROOT / "uv.lock").is_file()  # and no installed package
KEPT: Final = ROOT / ".cache" if IS_CHECKOUT else Path.home() / ".cache" / "groundplane"
"""What deploys keep on this machine: wheels, images, and the host keys that they have pinned."""


def source_directory() -> Path:
    """Return the catalog's directory: $GROUNDPLANE_SOURCE, or in a checkout the example's.

    End the program where there is neither.
    """
    given = os.environ.get("GROUNDPLANE_SOURCE", "")
    if not (given or IS_CHECKOUT):
        sys.exit("GROUNDPLANE_SOURCE is not set: the directory of your catalog")
    return Path(given or ROOT / "examples" / "lab")


@cache
def read_source() -> Catalog:
    """Return the catalog, whose lock is up to date; end the program with every fault of it."""
    try:
        catalog = read_catalog(source_directory())
        require_current(*allocate_source(source_directory(), catalog))
    except GroundplaneError as error:
        sys.exit(str(error))
    return catalog


@cache
def compiled_site() -> compiled.Site:
    """Return the compiled site; an error of groundplane's where the lock is not up to date."""
    return compile_source(source_directory())


@cache
def revision() -> str:
    """Return the revision that agents have in use once they have taken the catalog."""
    return revision_of(encode(compiled_site()))


@cache
def node_state(node: str) -> NodeState:
    """Return what *node* has to be, by the catalog and its lock."""
    return project(compiled_site(), node, frozenset())


def source_files() -> dict[str, Path]:
    """Return the files of the catalog that an agent needs, by their relative names."""
    source = source_directory()
    return {str(path.relative_to(source)): path for path in tree_files(source)}


def tree_files(source: Path) -> list[Path]:
    """Return the files below *source* that an agent needs."""
    tree = tree_of(source)
    found = [*tree.read, *tree.ignore_files, *source.glob("*.lock")]
    return [path for path in sorted(found) if path.is_file()]

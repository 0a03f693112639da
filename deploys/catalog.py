"""The catalog for the deploys: its location, and the desired state of each node."""

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
IS_CHECKOUT: Final = (ROOT / "uv.lock").is_file()  # not an installed package
KEPT: Final = ROOT / ".cache" if IS_CHECKOUT else Path.home() / ".cache" / "groundplane"
"""Files that deploys keep on this machine: wheels, images, and pinned host keys."""


def source_directory() -> Path:
    """Return the catalog's directory: $GROUNDPLANE_SOURCE, or the example's in a checkout.

    Exit the program if there is neither.
    """
    given = os.environ.get("GROUNDPLANE_SOURCE", "")
    if not (given or IS_CHECKOUT):
        sys.exit("GROUNDPLANE_SOURCE is not set: the directory of your catalog")
    return Path(given or ROOT / "examples" / "lab")


@cache
def read_source() -> Catalog:
    """Return the catalog with an up-to-date lock; otherwise exit the program with all errors."""
    try:
        catalog = read_catalog(source_directory())
        require_current(*allocate_source(source_directory(), catalog))
    except GroundplaneError as error:
        sys.exit(str(error))
    return catalog


@cache
def compiled_site() -> compiled.Site:
    """Return the compiled site; GroundplaneError if the lock is not up to date."""
    return compile_source(source_directory())


@cache
def revision() -> str:
    """Return the revision that agents use once they have applied the catalog."""
    return revision_of(encode(compiled_site()))


@cache
def node_state(node: str) -> NodeState:
    """Return the desired state of *node* according to the catalog and its lock."""
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

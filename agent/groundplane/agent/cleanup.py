"""Removal of everything that the agent has created on a node, and of nothing else.

The bridge, the workloads' namespaces and files in /etc belong to the deploy.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from groundplane.agent import SOCKET
from groundplane.agent.status import STATUS_FILE
from groundplane.agent.store import (
    COMPILED_DIRECTORY,
    COMPILED_KEY,
    PREVIOUS_FILE,
    SERIALS_FILE,
    SITE_FILE,
    VERDICTS_FILE,
    load_site,
)
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.dns import Bind, Record
from groundplane.dataplanes.links import Links
from groundplane.errors import StateError
from groundplane.kernel import owned
from groundplane.kernel.tables import Table, list_tables, remove_tables
from groundplane.project import project_base
from groundplane.project.state import NodeBase
from groundplane.proxies import Leftover, proxies
from groundplane.site.snapshot import decode


def ours(
    node: str, state_directory: Path, runtime_directory: Path, dns: Bind | None
) -> Iterator[Leftover]:
    """Yield our existing objects, in the order of removal.

    The agent's files come last: they list the zones. StateError if *dns* is given and no site is
    stored, since then nobody knows which records are ours.
    """
    if dns is not None:
        base = _base(node, state_directory)
        for zone, records in _by_zone(dns, base).items():
            delta = Delta(delete=records)
            yield Leftover(f"{len(records)} records of {zone}", partial(dns.write, base, delta))
    links = Links()
    try:
        for destination, route in links.routes().items():
            yield Leftover(links.text(destination, route), partial(links.drop, destination, route))
    finally:
        links.close()
    yield from _of_modes(node, state_directory)
    if tables := _tables():
        yield Leftover(f"tables {', '.join(map(str, tables))}", partial(remove_tables, tables))
    for path in (
        runtime_directory / SOCKET,
        runtime_directory / STATUS_FILE,
        state_directory / SITE_FILE,
        state_directory / PREVIOUS_FILE,
        state_directory / VERDICTS_FILE,
        state_directory / SERIALS_FILE,
        state_directory / COMPILED_KEY,
    ):
        if path.exists():
            yield Leftover(str(path), path.unlink)
    compiled = state_directory / COMPILED_DIRECTORY
    if compiled.exists():
        yield Leftover(str(compiled), partial(shutil.rmtree, compiled))


def _of_modes(node: str, state_directory: Path) -> Iterator[Leftover]:
    """Yield the proxy modes' kernel objects by the stored site, besides tables of rules."""
    base = None
    with suppress(StateError):
        base = _base(node, state_directory)
    for each in proxies():
        yield from each.leftovers(base)


def _base(node: str, state_directory: Path) -> NodeBase:
    try:
        return project_base(decode(load_site(state_directory)).site(node), node)
    except StateError as error:
        message = f"{error}; without it nobody knows the zones: use --without-dns to leave them"
        raise StateError(message) from None


def _by_zone(dns: Bind, base: NodeBase) -> dict[str, dict[Record, int]]:
    found: dict[str, dict[Record, int]] = {}
    for record, ttl in dns.read(base).items():
        found.setdefault(record.zone, {})[record] = ttl
    return found


def _tables() -> list[Table]:
    """Return our existing tables."""
    return [each for each in list_tables() if owned.is_our_table(each.name)]

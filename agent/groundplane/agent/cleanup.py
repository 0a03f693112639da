"""Everything that the agent has put on a node, and how to take it away again: that, and only that.

The bridge, the workloads' namespaces and what is in /etc are the deploy's.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from groundplane.agent import SOCKET
from groundplane.agent.status import STATUS_FILE
from groundplane.agent.store import PREVIOUS_FILE, SERIALS_FILE, SITE_FILE, VERDICTS_FILE, load_site
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.dns import Bind, Record
from groundplane.dataplanes.ipvs import (
    count_servers,
    leads_to_ipvs,
    let_go_of_ipvs,
    remove_servers,
)
from groundplane.dataplanes.links import Links
from groundplane.dataplanes.nftables import TABLES
from groundplane.errors import StateError
from groundplane.kernel.tables import Table, list_tables, remove_tables
from groundplane.project import project_base
from groundplane.project.state import NodeBase
from groundplane.site.snapshot import decode


class Thing(NamedTuple):
    """Something of ours: what it is, and how it is removed."""

    what: str
    remove: Callable[[], None]


def ours(
    node: str, state_directory: Path, runtime_directory: Path, dns: Bind | None
) -> Iterator[Thing]:
    """Yield what is there and ours, in the order in which it is to be removed.

    The files of the agent are the last: they know the zones. StateError when *dns* is given and
    no site is kept, since then nobody knows which records are ours.
    """
    if dns is not None:
        base = _base(node, state_directory)
        for zone, records in _by_zone(dns, base).items():
            delta = Delta(delete=records)
            yield Thing(f"{len(records)} records of {zone}", partial(dns.write, base, delta))
    links = Links()
    try:
        for destination, route in links.routes().items():
            yield Thing(links.text(destination, route), partial(links.drop, destination, route))
    finally:
        links.close()
    yield from _ipvs(node, state_directory)
    if tables := _tables():
        yield Thing(f"tables {', '.join(map(str, tables))}", partial(remove_tables, tables))
    for path in (
        runtime_directory / SOCKET,
        runtime_directory / STATUS_FILE,
        state_directory / SITE_FILE,
        state_directory / PREVIOUS_FILE,
        state_directory / VERDICTS_FILE,
        state_directory / SERIALS_FILE,
    ):
        if path.exists():
            yield Thing(str(path), path.unlink)


def _ipvs(node: str, state_directory: Path) -> Iterator[Thing]:
    """Yield what leads packets to IPVS, and the virtual servers that are ours by the site that is kept."""
    if leads_to_ipvs():
        yield Thing("what leads packets to IPVS", let_go_of_ipvs)
    with suppress(StateError):
        base = _base(node, state_directory)
        if count := count_servers(base):
            yield Thing(f"{count} virtual servers", partial(remove_servers, base))


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
    """Return our tables that are there."""
    there = list_tables()
    return [each for each in TABLES if each in there]

"""The verification's page: one HTML file with the picture of the site, and nothing to load.

`page` is pure: of the compiled site and what every test came to it makes the text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import jinja2

from groundplane.site import compiled
from groundplane_deploys.catalog import ROOT

Outcome = Literal["passed", "failed", "skipped"]
_WORST: tuple[Outcome, ...] = ("failed", "passed", "skipped")


@dataclass(frozen=True)
class Result:
    """A test: what it was about, "" for nothing of the kind, and how it ended; *seconds* it took."""

    name: str
    outcome: Outcome
    node: str = ""
    service: str = ""
    message: str = ""
    seconds: float = 0.0


class Reach(NamedTuple):
    """Whether *service* ("namespace/name") answers from *place* as it has to."""

    node: str
    place: str  # a workload of the node, "" for the node itself
    service: str
    right: bool


class Box(NamedTuple):
    """A rectangle of the picture with lines of text."""

    x: int
    y: int
    width: int
    height: int
    lines: tuple[str, ...]
    kind: str
    bad: bool


class Wire(NamedTuple):
    """From a service's box to that of one of its endpoints."""

    x1: int
    y1: int
    x2: int
    y2: int
    bad: bool


class Picture(NamedTuple):
    width: int
    height: int
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


class Row(NamedTuple):
    """A place of the table of who reaches whom, with the cells of all services."""

    node: str
    place: str
    cells: tuple[str, ...]  # "right", "wrong", or "" where nobody tried


_WIDTH, _GAP, _SERVICE, _WORKLOAD, _HEAD = 220, 24, 44, 34, 78


def page(
    title: str, site: compiled.Site, results: Sequence[Result], reached: Iterable[Reach]
) -> str:
    """Return the page on *site*, whose tests came to *results*."""
    tried = {(each.node, each.place, each.service): each.right for each in reached}
    services = [f"{service.namespace}/{service.name}" for service in site.services]
    return _template().render(
        title=title,
        picture=picture(site, results, tried),
        services=services,
        rows=list(_rows(site, services, tried)),
        failures=[each for each in results if each.outcome == "failed"],
        results=results,
        counts={kind: sum(each.outcome == kind for each in results) for kind in _WORST},
        seconds=sum(each.seconds for each in results),
    )


def picture(
    site: compiled.Site, results: Sequence[Result], tried: dict[tuple[str, str, str], bool]
) -> Picture:
    """Return the site as boxes: services above, nodes with their workloads below."""
    bad_nodes = {each.node for each in results if each.outcome == "failed" and not each.service}
    bad_services = {key[2] for key, right in tried.items() if not right}
    bad_services |= {each.service for each in results if each.outcome == "failed"}
    bad_places = {key[:2] for key, right in tried.items() if not right}
    columns = max(len(site.nodes), 1)
    width = columns * (_WIDTH + _GAP) + _GAP
    boxes: list[Box] = []
    tops: dict[str, tuple[int, int]] = {}
    for index, service in enumerate(site.services):
        line, column = divmod(index, columns)
        x, y = _GAP + column * (_WIDTH + _GAP), _GAP + line * (_SERVICE + 12)
        name = f"{service.namespace}/{service.name}"
        address = service.cluster_ips[0] if service.cluster_ips else "no cluster IP"
        boxes.append(Box(x, y, _WIDTH, _SERVICE, (name, address), "service", name in bad_services))
        tops[name] = x + _WIDTH // 2, y + _SERVICE
    below = _GAP + -(-len(site.services) // columns) * (_SERVICE + 12) + 2 * _GAP
    ends: dict[tuple[str, str], tuple[int, int]] = {}
    height = below
    for index, node in enumerate(site.nodes):
        x = _GAP + index * (_WIDTH + _GAP)
        own = sorted({(w.namespace, w.name) for w in site.workloads if w.node == node.name})
        tall = _HEAD + len(own) * (_WORKLOAD + 8) + 8
        bad = node.name in bad_nodes or (node.name, "") in bad_places
        lines = (node.name, *node.addresses[:1], f"groundplane0 {node.subnets[0]}")
        boxes.append(Box(x, below, _WIDTH, tall, lines, "node", bad))
        ends[node.name, ""] = x + _WIDTH // 2, below
        for number, (namespace, name) in enumerate(own):
            y = below + _HEAD + number * (_WORKLOAD + 8)
            place = (node.name, f"{namespace}-{name}")
            boxes.append(
                Box(x + 12, y, _WIDTH - 24, _WORKLOAD, (name,), "workload", place in bad_places)
            )
            ends[node.name, f"{namespace}/{name}"] = x + _WIDTH // 2, y
        height = max(height, below + tall + _GAP)
    wires = [wire for s in site.services for wire in _wires(s, tops, ends, bad_services)]
    return Picture(width, height, tuple(boxes), tuple(wires))


def _wires(
    service: compiled.Service,
    tops: dict[str, tuple[int, int]],
    ends: dict[tuple[str, str], tuple[int, int]],
    bad: set[str],
) -> Iterator[Wire]:
    name = f"{service.namespace}/{service.name}"
    for row in service.endpoints.rows():
        workload = (row.node, f"{service.namespace}/{row.workload}")
        end = ends.get(workload) or ends.get((row.node, ""))
        if end is not None:
            yield Wire(*tops[name], *end, name in bad)


def _rows(
    site: compiled.Site, services: Sequence[str], tried: dict[tuple[str, str, str], bool]
) -> Iterator[Row]:
    for node, place in sorted({key[:2] for key in tried}):
        cells = tuple(
            {None: "", True: "right", False: "wrong"}[tried.get((node, place, service))]
            for service in services
        )
        yield Row(node, place, cells)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("verification.html.j2")

"""The verification's page: one file, with what failed to be seen at once."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.site.compiled import Site
from tests.verify.report import Reach, Result, page, picture

EXAMPLE = Path(__file__).parents[1] / "examples/lab"
GOOD = Result("test_sysctl[n1]", "passed", "n1", seconds=0.5)
BAD = Result("test_unit_runs[n2]", "failed", "n2", message="<named> is & stays down")


@pytest.fixture(scope="module")
def site() -> Site:
    return compile_source(EXAMPLE)


class Page(HTMLParser):
    """The tags of a page that nest as they should, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {value}" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()


def test_it_is_one_file_that_loads_nothing(site: Site) -> None:
    found = Page(page("lab", site, [GOOD, BAD], [Reach("n1", "", "default/web", right=True)]))
    assert ([], []) == (found.open, found.loads)


def test_what_a_test_said_is_text_and_no_markup(site: Site) -> None:
    text = page("lab", site, [BAD], [])
    assert "&lt;named&gt; is &amp; stays down" in text
    assert "<named>" not in text


def test_every_service_node_and_workload_is_in_the_picture(site: Site) -> None:
    drawn = [(box.kind, box.lines[0]) for box in picture(site, [], {}).boxes]
    expected = [("service", f"{s.namespace}/{s.name}") for s in site.services]
    expected += [("node", node.name) for node in site.nodes]
    expected += [("workload", w.name) for w in site.workloads]
    assert sorted(expected) == sorted(drawn)


def test_nothing_is_drawn_outside_or_over_another(site: Site) -> None:
    drawn = picture(site, [], {})
    for box in drawn.boxes:
        assert 0 <= box.x <= box.x + box.width <= drawn.width
        assert 0 <= box.y <= box.y + box.height <= drawn.height
    for kind in ("service", "node", "workload"):
        boxes = [box for box in drawn.boxes if box.kind == kind]
        for one in boxes:
            for other in boxes:
                apart = (
                    one.x + one.width <= other.x
                    or other.x + other.width <= one.x
                    or one.y + one.height <= other.y
                    or other.y + other.height <= one.y
                )
                assert one is other or apart


def test_wires_lead_to_the_endpoints(site: Site) -> None:
    ends = {(wire.x2, wire.y2) for wire in picture(site, [], {}).wires}
    boxes = picture(site, [], {}).boxes
    starts = {(box.x + box.width // 2, box.y) for box in boxes if box.kind != "service"}
    assert ends <= starts


def test_what_failed_is_red(site: Site) -> None:
    tried = {
        ("n1", "default-echo-1", "default/web"): False,
        ("n1", "", "default/web"): True,
    }
    red = {box.lines[0] for box in picture(site, [BAD, GOOD], tried).boxes if box.bad}
    assert {"n2", "default/web", "echo-1"} == red


def test_who_reaches_whom_is_told_for_every_place(site: Site) -> None:
    text = page("lab", site, [], [Reach("n1", "default-echo-1", "default/web", right=False)])
    assert 1 == text.count("✗")
    assert "default-echo-1" in text

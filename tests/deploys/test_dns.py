"""BIND's configuration and zones: checked beside what is there, and put in place together."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pyinfra.api import State
from pyinfra.api.operation import add_op

from groundplane.dataplanes.dns import local_files, server_config, zone_file, zones_of
from groundplane.project.state import NodeBase
from groundplane.site.compiled import StubZone
from groundplane_deploys.operations import dns
from tests.deploys.runs import run
from tests.kernel.named import KEY, SECRET
from tests.kernel.spaces import based
from tests.states import BASE

pytestmark = pytest.mark.slow

OTHER = based(domain="other.example")
REFUSED = based(stub_zones=(StubZone("node.cluster.local", ("192.0.2.53",)),))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("cache", "bind", "zones/journals"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "key").write_text(KEY % SECRET)
    return tmp_path


def configure(place: Path, base: NodeBase, texts: Mapping[str, str] = {}) -> bool:
    """Configure BIND below *place* for *base*; return whether that is done."""
    zones, local = place / "zones", place / "bind" / "local"
    text = server_config(
        base,
        directory=str(zones),
        journals=str(zones / "journals"),
        cache=str(place / "cache"),
        key_file=str(place / "key"),
        local=str(local),
    )

    def step(state: State) -> None:
        add_op(
            state,
            dns.configured,
            config=str(place / "bind" / "named.conf"),
            text=text,
            files={f"{local}/{zone}.zone": each for zone, each in local_files(base).items()},
            zones={
                f"{zones}/{zone}.zone": (
                    f"{zones}/journals/{zone}.jnl",
                    texts.get(zone) or zone_file(zone, []),
                )
                for zone in zones_of(base)
            },
            owner="root:root",
        )

    state = run(["@local"], {}, step)
    return not state.failed_hosts


def content(place: Path) -> dict[str, str]:
    return {str(each): each.read_text() for each in place.rglob("*") if each.is_file()}


def test_configuration_and_zones_are_put_in_place_together(place: Path) -> None:
    assert configure(place, BASE)
    there = {Path(name).name for name in content(place)}
    assert {"named.conf", "localhost.zone", "key"} <= there
    assert {f"{zone}.zone" for zone in zones_of(BASE)} <= there
    assert not [name for name in there if name.endswith((".new", ".check"))]


def test_what_the_server_wrote_is_kept(place: Path) -> None:
    configure(place, BASE)
    zone = place / "zones" / "cluster.local.zone"
    written = zone_file("cluster.local", [("a.cluster.local.", "A", "192.0.2.1", 5)], 7)
    zone.write_text(written)
    journal = place / "zones/journals/cluster.local.jnl"
    journal.write_text("")
    before = content(place)
    assert configure(place, BASE)
    assert before == content(place)
    assert configure(place, based(forwarders=("192.0.2.53",)))
    assert (written, True) == (zone.read_text(), journal.exists())


def test_journal_of_a_lost_file_is_removed(place: Path) -> None:
    configure(place, BASE)
    (place / "zones" / "cluster.local.zone").unlink()
    journal = place / "zones/journals/cluster.local.jnl"
    journal.write_text("")
    assert configure(place, BASE)
    assert not journal.exists()


@pytest.mark.parametrize(
    ("base", "texts"),
    [
        (REFUSED, {}),  # two zones of one name
        (OTHER, {"other.example": "nonsense\n"}),
    ],
    ids=["configuration", "zone"],
)
def test_nothing_is_changed_that_named_refuses(
    place: Path, base: NodeBase, texts: dict[str, str]
) -> None:
    configure(place, BASE)
    before = content(place)
    assert not configure(place, base, texts)
    assert before == content(place)
    assert configure(place, OTHER)
    assert before != content(place)


def test_file_of_a_zone_that_named_does_not_load_is_told(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configure(place, BASE)
    (place / "zones" / "cluster.local.zone").write_text("nonsense\n")
    assert not configure(place, based(forwarders=("192.0.2.53",)))
    assert "cluster.local.zone:1: unexpected end of" in caplog.text
    assert "named.conf would be refused by named: nothing is changed" in caplog.text

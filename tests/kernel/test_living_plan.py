"""`groundplane agent plan` beside a living agent, and where none lives: it tells, and changes nothing."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.site.encoding import encode
from tests.kernel.living import Living, living

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """An agent that has made its node as declared, and was stopped."""
    with living("plan", tmp_path_factory.mktemp("plan")) as made:
        made.start()
        made.until_healthy()
        found = planned(made)
        assert (0, "Nothing would change.\n", "") == (found.returncode, found.stdout, found.stderr)
        made.stop()
        yield made


def planned(agent: Living, *options: str, site: bytes = b"") -> subprocess.CompletedProcess[str]:
    own = ("--node", "n1", "--without-dns", "--state-directory", str(agent.state))
    runtime = ("--runtime-directory", str(agent.runtime))
    command = agent.command("agent", "plan", *own, *runtime, *options)
    done = subprocess.run(command, input=site, capture_output=True)
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def held(agent: Living) -> list[str]:
    """Return what the node holds that is ours."""
    routes = (
        agent.ip("route", "show", "proto", "71"),
        agent.ip("-6", "route", "show", "proto", "71"),
    )
    return [*agent.rules(), *routes, agent.ip("-brief", "address")]


TABLES = (
    "ip groundplane, ip6 groundplane, bridge groundplane, "
    "ip groundplane-services, ip6 groundplane-services"
)
DAMAGE = {
    "a table is deleted": (
        "nft delete table bridge groundplane",
        [f"prepare   replace tables {TABLES}"],
    ),
    "the whole ruleset is flushed": (
        "nft flush ruleset",
        [
            f"prepare   load tables {TABLES}",
            "create    ip cluster_ips { 10.96.0.5 . tcp . 80 : ",
        ],
    ),
    "an element is added": (
        "nft add element ip groundplane nodes { 198.51.100.1 }",
        ["delete   ip nodes { 198.51.100.1 }"],
    ),
    "a map is emptied": (
        "nft flush map ip groundplane-services choices",
        ["create   ip choices { "],
    ),
    "a route leads elsewhere": (
        "ip route replace 10.244.2.0/24 via 192.0.2.3 proto 71",
        ["update   route 10.244.2.0/24 via 192.0.2.3 -> route 10.244.2.0/24 via 192.0.2.2"],
    ),
    "an address is removed": (
        "ip address del 10.244.1.1/24 dev groundplane0",
        ["create   address 10.244.1.1/24 of groundplane0"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_differs_is_told_and_left_alone(stopped: Living, damage: str) -> None:
    command, expected = DAMAGE[damage]
    subprocess.run(["ip", "netns", "exec", stopped.netns, "sh", "-c", command], check=True)
    before = held(stopped)
    try:
        found = planned(stopped, "--all")
        assert (2, "") == (found.returncode, found.stderr)
        for each in expected:
            assert each in found.stdout
        assert before == held(stopped)
    finally:
        stopped.start()
        stopped.until_healthy()
        stopped.stop()
    assert 0 == planned(stopped).returncode


def test_another_site_is_compared_for_machines_too(stopped: Living) -> None:
    stopped.add_a_service()
    site = encode(compile_source(stopped.source))
    before = held(stopped)
    found = planned(stopped, "--site", "-", "-o", "json", site=site)
    assert 2 == found.returncode
    by_plane = {each["dataplane"]: each for each in json.loads(found.stdout)}
    assert {"links", "ipvs", "nftables", "conntrack"} == by_plane.keys()
    changes = by_plane["nftables"]["changes"]
    assert {"create"} == {each["change"] for each in changes}
    assert any("10.96.0.6" in each["object"] for each in changes)
    assert [] == by_plane["links"]["changes"]
    assert before == held(stopped)


def test_many_changes_are_cut_with_their_number(stopped: Living, tmp_path: Path) -> None:
    """Of a site that this node does not hold at all."""
    with living("plan-new", tmp_path) as new:
        site = encode(compile_source(stopped.source))
        found = planned(new, "--site", "-", site=site)
        assert 2 == found.returncode
        *_, last = found.stdout.splitlines()
        assert last.startswith("nftables: ")
        assert last.endswith(" more; --all shows them")
        assert 19 == found.stdout.count("nftables    create")  # and the load of its tables


@pytest.mark.parametrize(
    ("options", "site", "fault"),
    [
        (("--site", "-"), b"no site", "not a compiled site"),
        (("--site", "/nowhere"), b"", "No such file"),
        (
            ("--state-directory", "/nowhere"),
            b"",
            "/nowhere/site.snapshot: No such file or directory",
        ),
    ],
)
def test_without_a_site_there_is_no_plan(
    stopped: Living, options: tuple[str, ...], site: bytes, fault: str
) -> None:
    found = planned(stopped, *options, site=site)
    assert (1, "") == (found.returncode, found.stdout)
    assert fault in found.stderr
    assert "Traceback" not in found.stderr

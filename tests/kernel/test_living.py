"""The agent as a process, on a node of its own: what others break, it repairs, and says so."""

import io
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from groundplane.agent.repair_backoff import AT_ONCE
from tests.kernel.living import LOCK, SITE, Living, living
from tests.kernel.world import run, within
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Living]:
    with living("living", tmp_path) as made:
        made.start()
        made.until_healthy()
        yield made


DAMAGE = {
    "the whole ruleset is flushed": "nft flush ruleset",
    "a table is deleted": "nft delete table bridge groundplane",
    "a map is emptied": "nft flush map ip groundplane-services choices",
    "a rule is added": "nft insert rule ip groundplane-services services accept",
    "an element is added": "nft add element ip groundplane nodes { 198.51.100.1 }",
    "a route is removed": "ip route del 10.244.2.0/24",
    "the route of services is removed": "ip route del 10.96.0.0/24",
    "an address is removed": "ip address del 10.244.1.1/24 dev groundplane0",
    "the bridge is down for a moment": "ip link set groundplane0 down; ip link set groundplane0 up",
}
NAMES = """\
apiVersion: v1
kind: Service
metadata: {name: names}
spec: {clusterIP: 10.96.0.6, selector: {app: web}, ports: [{port: 53, protocol: UDP}]}
"""


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_others_damage_is_repaired_within_a_second(agent: Living, damage: str) -> None:
    whole = agent.rules()
    start = time.monotonic()
    run(agent.netns, "sh", "-c", DAMAGE[damage])
    agent.until(lambda: agent.events("Repaired"), 5)
    assert PATIENCE * 1.0 > time.monotonic() - start
    assert whole == agent.rules()
    (event,) = agent.events("Repaired")
    (plane,) = (plane for plane in agent.status["planes"] if plane["name"] == event["about"])
    assert ("", 1, "") == (plane["error"], plane["repairs"], plane["contested"])
    if DAMAGE[damage].startswith("nft"):
        assert event["message"].startswith("was changed by nft (pid ")


def repaired(agent: Living, count: int) -> bool:
    return len(agent.events("Repaired")) == count


def test_of_a_program_that_insists_it_is_said_who_it_is_and_it_is_left_alone(
    agent: Living,
) -> None:
    for count in range(1, AT_ONCE + 1):
        agent.nft("flush", "ruleset")
        agent.until(partial(repaired, agent, count), 3)
    agent.until(lambda: agent.events("Contested"), 3)
    (event,) = agent.events("Contested")
    assert event["message"].startswith("is changed again and again by nft (pid ")
    assert event["message"].endswith("; left alone for 5 s")
    start = time.monotonic()
    agent.nft("flush", "ruleset")
    agent.until(partial(repaired, agent, AT_ONCE + 1), 12)
    assert 4 < time.monotonic() - start
    shown = agent.groundplane("agent", "status").stdout
    assert "nftables:   changed again and again by nft (pid " in shown


def test_a_poke_makes_the_source_be_looked_at_now(tmp_path: Path) -> None:
    with living("poked", tmp_path) as agent:
        agent.start("--poll", "3600")
        agent.until_healthy()
        before = agent.status["sourceChecked"]
        assert (0, "", "") == _said(agent.groundplane("agent", "poke"))
        agent.until(lambda: agent.status["sourceChecked"] > before, 2)


def test_without_an_agent_each_command_says_so_in_a_line(tmp_path: Path) -> None:
    with living("none", tmp_path) as agent:
        where = (
            f"error: {agent.runtime}/agent.sock: No such file or directory; is the agent running?\n"
        )
        for command in (("agent", "poke"), ("events",), ("top", "--once")):
            assert (1, "", where) == _said(agent.groundplane(*command))
        agent.start()
        agent.until_healthy()
        agent.kill()
        status, shown, _ = _said(agent.groundplane("agent", "status"))
        assert 1 == status
        assert "The agent is not running; what it wrote stays in place." in shown


def _said(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


def test_what_happens_is_told_with_its_reason(agent: Living) -> None:
    agent.add_a_service()
    agent.until(lambda: agent.status["services"] == 2)
    (agent.root / "health.yaml").write_text("default/b: false\n")
    agent.until(lambda: agent.events("EndpointLeft"))
    (agent.root / "health.yaml").write_text("default/b: true\n")
    agent.until(lambda: agent.events("EndpointReturned"))
    agent.write({"site.yaml": "kind: [\n"})
    agent.until(lambda: agent.events("SourceRefused"))
    agent.write({"site.yaml": SITE.replace("name: b, labels: {app: web}", "name: b")})
    agent.until(lambda: agent.events("ServiceChanged") and agent.events("SourceAccepted"))
    told = {event["reason"]: f"{event['about']}: {event['message']}" for event in agent.events()}
    assert {
        "ServiceAdded": "Service/default/api: is there now: 10.96.0.6, 0 endpoints",
        "EndpointLeft": "Workload/default/b: no endpoint of default/web any more: as the health file says",
        "EndpointReturned": "Workload/default/b: an endpoint of default/web again: "
        "as the health file says",
        "SourceRefused": f"Source: {agent.source}/site.yaml:1: not YAML",
        "SourceAccepted": "Source: can be used again",
        "ServiceChanged": "Service/default/web: 10.244.2.10:8080 left",
    } == told | {"SourceRefused": told["SourceRefused"].rsplit(": ", 1)[0]}
    places = {event["about"]: event.get("place", "") for event in agent.events()}
    assert {"Service/default/web", "Workload/default/b"} == {
        about for about, place in places.items() if place.startswith("site.yaml:")
    } - {"Service/default/api"}
    (line,) = agent.groundplane("events", "Service/default/web").stdout.splitlines()
    assert f"Service/default/web: 10.244.2.10:8080 left ({places['Service/default/web']})" in line
    once = agent.groundplane("top", "--once").stdout
    assert "ServiceChanged" in once
    assert "nftables:   as declared since " in once


def test_metrics_have_kube_proxys_names_and_load_balancers_get_their_answer(tmp_path: Path) -> None:
    with living("metrics", tmp_path) as agent:
        agent.start("--metrics-address", "192.0.2.1:10249", "--healthz-address", "[::1]:10256")
        agent.until_healthy()
        agent.add_a_service()
        agent.until(lambda: agent.status["services"] == 2)
        _, metrics = asked(agent, "http://192.0.2.1:10249/metrics")
        for sample in (
            "kubeproxy_sync_full_proxy_rules_duration_seconds_count 1.0",
            "kubeproxy_sync_partial_proxy_rules_duration_seconds_count ",
            "kubeproxy_sync_proxy_rules_service_changes_total 2.0",
            "kubeproxy_network_programming_duration_seconds_count ",
            'groundplane_dataplane_ok{dataplane="nftables"} 1.0',
            "groundplane_services 2.0",
        ):
            assert f"\n{sample}" in metrics
        status, body = asked(agent, "http://[::1]:10256/healthz")
        health = json.loads(body)
        assert (200, True, {"IPv4", "IPv6"}) == (status, health["healthy"], health["status"].keys())


def test_conntrack_entries_that_are_deleted_with_their_service_are_counted(tmp_path: Path) -> None:
    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"?", ("10.96.0.6", 53))

    with living("counted", tmp_path) as agent:
        lock = LOCK + "Service/default/names 10.96.0.6\n"
        agent.write({"names.yaml": NAMES, "addresses.lock": lock})
        agent.start("--metrics-address", "192.0.2.1:10249")
        agent.until_healthy()
        assert "0.0" == deleted(agent)
        within(agent.netns, send)
        (agent.source / "names.yaml").unlink()
        agent.write({"addresses.lock": LOCK + "released/1 10.96.0.6\n"})
        agent.until(lambda: deleted(agent) == "1.0")


def deleted(agent: Living) -> str:
    _, metrics = asked(agent, "http://192.0.2.1:10249/metrics")
    name = 'kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} '
    return next(line for line in metrics.splitlines() if line.startswith(name)).split()[1]


def asked(agent: Living, url: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - one of ours
            return answer.status, answer.read().decode()

    return within(agent.netns, ask)


def test_cleaning_removes_all_that_is_ours_and_only_that(agent: Living) -> None:
    agent.nft("add table inet theirs")
    agent.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.9")
    clean = (
        "agent",
        "cleanup",
        "--node",
        "n1",
        "--without-dns",
        "--state-directory",
        str(agent.state),
    )
    status, _, refused = _said(agent.groundplane(*clean))
    assert (1, True) == (status, "an agent runs on this node already" in refused)
    agent.stop()
    dry = agent.groundplane(*clean, "--dry").stdout
    assert "table bridge groundplane" in agent.nft("list", "tables")
    status, shown, error = _said(agent.groundplane(*clean))
    assert (0, "") == (status, error)
    assert dry == shown.replace("removed ", "would remove ")
    assert "table inet theirs\n" == agent.nft("list", "tables")
    routes = (
        agent.ip("route", "show", "table", "all").splitlines()
        + agent.ip("-6", "route").splitlines()
    )
    assert not [line for line in routes if "proto 71" in line]
    assert any(line.startswith("198.51.100.0/24 via 192.0.2.9") for line in routes)
    assert [] == [*agent.state.iterdir(), *agent.runtime.iterdir()]
    assert (0, "", "") == _said(agent.groundplane(*clean))


def test_a_bundle_has_what_a_maintainer_needs_and_no_secret(agent: Living) -> None:
    (agent.root / "bundle").mkdir()
    file = agent.root / "bundle" / "b.tar.gz"
    done = agent.groundplane("debug", "bundle", str(file), "--state-directory", str(agent.state))
    assert (0, "") == (done.returncode, done.stderr)
    with tarfile.open(file) as archive:
        names = archive.getnames()
        status = json.load(archive.extractfile("groundplane/agent/status.json") or io.BytesIO())
        rules = (archive.extractfile("groundplane/kernel/services-ip.nft") or io.BytesIO()).read()
    assert 0o600 == file.stat().st_mode & 0o777
    assert "groundplane/state/site.snapshot" in names
    assert agent.status["revision"] == status["revision"]
    assert b"10.96.0.5" in rules

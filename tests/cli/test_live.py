"""`--live`: what the agent of this node uses, and what its probes answer."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.agent.report import Report
from groundplane.agent.store import save_site
from groundplane.agent.workload_health import WorkloadHealth
from groundplane.compile.pipeline import compile_source
from groundplane.site.encoding import encode
from tests.cli.run import Command, Done
from tests.cli.test_agent import GOOD, answering

HERE = ("--live", "--runtime-directory", ".", "--state-directory", "state")
FAILS = WorkloadHealth("default", "a", False, 86400.0, "connection refused")
TOLD = WorkloadHealth("default", "b", True, 0.0, "as the health file says")
REASON = "its readiness probe fails; fails since 1970-01-02 00:00:00Z: connection refused"


@pytest.fixture
def agent(site: Path) -> Iterator[None]:
    """An agent in this directory that uses *site*, in which one workload fails its probe."""
    Path("state").mkdir()
    save_site(Path("state"), encode(compile_source(site)))

    def knows(report: Report) -> None:
        report.health = lambda: (FAILS, TOLD)

    with answering(GOOD, prepared=knows):
        yield


@pytest.mark.usefixtures("agent")
def test_endpoints_have_the_answers_of_their_probes(groundplane: Command) -> None:
    done = groundplane("get", "endpoints", *HERE)
    heading, web = done.out.splitlines()
    assert ["NAME", "ENDPOINTS", "NOT COUNTED"] == heading.split(maxsplit=2)
    assert f"a: {REASON}" in web


@pytest.mark.usefixtures("agent")
def test_workloads_say_since_when_they_pass_or_fail(groundplane: Command) -> None:
    lines = groundplane("get", "workloads", *HERE).out.splitlines()
    assert [
        ["a", "fails", "1970-01-02", "00:00:00Z", "n1", "10.244.1.10,fd00:244:0:1::10",
         "connection", "refused"],
        ["b", "passes", "-", "n1", "192.0.2.1,2001:db8::1", "as", "the", "health", "file", "says"],
    ] == [line.split() for line in lines[1:]]  # fmt: skip


@pytest.mark.usefixtures("agent")
def test_services_count_the_endpoints_that_take_connections_now(groundplane: Command) -> None:
    (service,) = json.loads(groundplane("get", "services", "-o", "json", *HERE).out)["items"]
    assert ["10.96.0.5"] == service["clusterIPs"]
    counts = {each["workload"]: each["counts"] for each in service["endpoints"]}
    assert {"a": False, "b": False} == counts
    assert "0/2" in groundplane("get", "services", "web", *HERE).out


@pytest.mark.usefixtures("agent")
def test_a_service_is_described_with_the_answers(groundplane: Command) -> None:
    lines = groundplane("describe", "service", "web", *HERE).out.splitlines()
    assert "IPs:          10.96.0.5" in lines
    place = "10.244.1.10  ports 8080  node n1"
    assert f"  - a  {place}  ({REASON})" in lines
    assert 1 == groundplane("describe", "service", "wep", *HERE).status


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "services", "./site"),
        ("get", "nodes"),
        ("get", "services", "--health", "site/site.yaml"),
        ("describe", "service"),
        ("describe", "service", "web", "./site"),
    ],
)
@pytest.mark.usefixtures("site")
def test_what_the_agent_cannot_be_asked_is_refused(
    groundplane: Command, arguments: tuple[str, ...]
) -> None:
    done = groundplane(*arguments, *HERE)
    assert (1, "") == (done.status, done.out)
    assert "Usage: " in done.err


@pytest.mark.usefixtures("site")
def test_without_an_agent_it_is_one_line(groundplane: Command) -> None:
    done = groundplane("get", "services", *HERE)
    told = "error: agent.sock: No such file or directory; is the agent running?\n"
    assert Done(1, "", told) == done

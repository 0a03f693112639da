"""What the agent answers to commands, to Prometheus and to load balancers."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundplane.agent.api import Api
from groundplane.agent.exchanges import Response
from groundplane.agent.http import ApiRequest
from groundplane.agent.report import Report
from groundplane.agent.status import PlaneStatus, Status
from tests.states import BASE


class Asked:
    """Answers of an agent whose state is *report*; *pokes* counts how often it was poked."""

    def __init__(self, directory: Path) -> None:
        planes = (PlaneStatus("nftables", synced=1e9), PlaneStatus("dns"))
        status = Status("n1", "1.0", 1, 0.0, "/site", applied=1e9, planes=planes)
        self.report = Report(status, directory)
        self.report.base = BASE
        self.pokes = 0
        self._answers = Api(self.report, self.report.metrics, self._poke)

    def _poke(self) -> None:
        self.pokes += 1

    def local(
        self, path: str, method: str = "GET", query: Mapping[str, str] | None = None
    ) -> Response:
        return asyncio.run(self._answers.local(ApiRequest(method, path, query or {})))

    def observed(self, path: str, method: str = "GET") -> Response:
        return asyncio.run(self._answers.observed(ApiRequest(method, path, {})))

    def behind(self, plane: str, seconds: float) -> None:
        """Let *plane* be behind since *seconds* ago."""
        self.become(PlaneStatus(plane, error="refused", since=time.time() - seconds, synced=1e9))

    def become(self, *changed: PlaneStatus) -> None:
        """Let these dataplanes have this status."""
        known = {each.name: each for each in (*self.report.status.planes, *changed)}
        self.report.tell(planes=tuple(known.values()))


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
@pytest.mark.parametrize(
    ("plane", "seconds", "code"),
    [("nftables", 50, 200), ("nftables", 70, 503), ("dns", 1000, 200), ("links", 1000, 200)],
)
def test_the_proxy_is_unhealthy_when_it_is_behind_for_a_minute(
    asked: Asked, path: str, plane: str, seconds: float, code: int
) -> None:
    asked.behind(plane, seconds)
    answer = asked.observed(path)
    body = json.loads(answer.body)
    assert (code, code == 200) == (answer.status, body["healthy"])
    assert {"IPv4": code == 200, "IPv6": code == 200} == {
        family: told["healthy"] for family, told in body["status"].items()
    }
    name = path.removeprefix("/")
    sample = f'kubeproxy_proxy_{name}_total{{code="{code}"}} 1.0'
    assert sample in asked.observed("/metrics").body.decode()


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
@pytest.mark.parametrize(
    ("plane", "hangs", "code"),
    [
        (PlaneStatus("nftables"), 0, 503),  # never loaded
        (PlaneStatus("nftables", synced=1e9), 50, 200),
        (PlaneStatus("nftables", synced=1e9), 70, 503),
        (PlaneStatus("links"), 70, 503),  # in the way of the proxy
        (PlaneStatus("dns"), 70, 200),
    ],
)
def test_the_proxy_is_unhealthy_until_it_is_loaded_and_while_it_hangs(
    asked: Asked, path: str, plane: PlaneStatus, hangs: float, code: int
) -> None:
    since = time.time() - hangs if hangs else 0.0
    asked.become(msgspec.structs.replace(plane, busy_since=since))
    assert code == asked.observed(path).status


def test_a_node_that_drains_is_not_eligible_and_lives(asked: Asked) -> None:
    asked.report.base = msgspec.structs.replace(BASE, draining=True)
    answer = asked.observed("/healthz")
    body = json.loads(answer.body)
    assert (503, False, True) == (answer.status, body["nodeEligible"], body["healthy"])
    assert 200 == asked.observed("/livez").status


def test_health_has_the_form_of_kube_proxys(asked: Asked) -> None:
    body: dict[str, Any] = json.loads(asked.observed("/healthz").body)
    at = body.pop("currentTime")
    assert at > "2020"
    assert {
        "lastUpdated": at,
        "nodeEligible": True,
        "healthy": True,
        "status": {
            "IPv4": {"lastUpdated": at, "healthy": True},
            "IPv6": {"lastUpdated": at, "healthy": True},
        },
    } == body


def events(asked: Asked, **query: str) -> list[int]:
    return [event["number"] for event in json.loads(asked.local("/events", query=query).body)]


def test_events_are_those_since_a_number_and_about_one_thing(asked: Asked) -> None:
    for about in ("Source", "Service/default/web", "Source"):
        asked.report.event("Happened", about, "so it is")
    assert [1, 2, 3] == events(asked)
    assert [2, 3] == events(asked, since="1")
    assert [1, 3] == events(asked, about="Source")
    assert [3] == events(asked, since="1", about="Source")
    assert [] == events(asked, since="99", about="Source")


@pytest.mark.parametrize("since", ["", "x", "-1", "1.5", "²", "9" * 5000])
def test_what_is_no_number_is_a_bad_request(asked: Asked, since: str) -> None:
    answer = asked.local("/events", query={"since": since})
    assert (400, b"since is the number of an event\n") == (answer.status, answer.body)


def test_the_status_is_told_as_it_is(asked: Asked) -> None:
    asked.report.tell(revision="d46d8884f8d4")
    assert "d46d8884f8d4" == json.loads(asked.local("/status").body)["revision"]


def test_a_poke_is_a_post(asked: Asked) -> None:
    assert (405, 0) == (asked.local("/poke", "PUT").status, asked.pokes)
    assert (404, 0) == (asked.local("/poke").status, asked.pokes)
    assert (200, 1) == (asked.local("/poke", "POST").status, asked.pokes)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("DELETE", "/healthz", 405),
        ("GET", "/", 404),
        ("GET", "/events", 404),
        ("GET", "/status", 404),
    ],
)
def test_others_may_only_look_at_metrics_and_health(
    asked: Asked, method: str, path: str, code: int
) -> None:
    assert code == asked.observed(path, method).status


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("HEAD", "/status", 200), ("HEAD", "/events", 200), ("GET", "/metrics", 200),
     ("HEAD", "/metrics", 200), ("POST", "/status", 405), ("GET", "/x", 404)],
)  # fmt: skip
def test_commands_may_look_at_all(asked: Asked, method: str, path: str, code: int) -> None:
    assert code == asked.local(path, method).status

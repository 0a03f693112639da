"""The agent probes what it uses: real listeners in its namespace, real rules, real time."""

import json
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.kernel.living import SITE, Living, living
from tests.kernel.world import Server, ip, within
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

PROBE = "readinessProbe: {tcpSocket: {port: http}, periodSeconds: 1, failureThreshold: 2}"
PROBED = SITE.replace(
    "ports: [{name: http, port: 8080}]", f"ports: [{{name: http, port: 8080}}], {PROBE}"
)
SECOND = """\
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: c, labels: {app: api}}
spec: {node: n2, addresses: [10.244.2.11, 'fd00:244:0:2::11'], ports: [{name: http, port: 8080}], PROBE}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {clusterIP: 10.96.0.6, selector: {app: api}, ports: [{port: 80, targetPort: http}]}
""".replace("PROBE", PROBE)
LOCK = """\
Node/n1 10.244.1.0/24 fd00:244:0:1::/64
Node/n2 10.244.2.0/24 fd00:244:0:2::/64
Service/default/api 10.96.0.6
Service/default/web 10.96.0.5
Workload/default/a 10.244.1.10 fd00:244:0:1::10
Workload/default/b 10.244.2.10 fd00:244:0:2::10
Workload/default/c 10.244.2.11 fd00:244:0:2::11
"""
BOUND = 2 * 1 + 1 + 0.25  # failureThreshold x periodSeconds + timeoutSeconds + 250 ms
ADDRESSES = {"a": "10.244.1.10", "b": "10.244.2.10", "c": "10.244.2.11"}


class Backends:
    """Listeners that stand for the workloads, at their addresses in the agent's own namespace."""

    def __init__(self, agent: Living) -> None:
        self.netns = agent.netns
        ip(*(f"-n {self.netns} address add {each}/32 dev lo" for each in ADDRESSES.values()))
        self.servers = {name: self._serve(name) for name in ADDRESSES}

    def _serve(self, name: str) -> Server:
        return Server(self.netns, name, 8080, (ADDRESSES[name],))

    def kill(self, *names: str) -> None:
        for name in names:
            self.servers.pop(name).close()

    def revive(self, *names: str) -> None:
        self.servers |= {name: self._serve(name) for name in names}

    def close(self) -> None:
        self.kill(*self.servers)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Living]:
    with living("probed", tmp_path) as made:
        made.write({"site.yaml": PROBED + SECOND, "addresses.lock": LOCK})
        yield made


@pytest.fixture
def backends(agent: Living) -> Iterator[Backends]:
    made = Backends(agent)
    yield made
    made.close()


def failing(agent: Living, count: int) -> bool:
    return bool(agent.status.get("revision")) and agent.status["failing"] == count


def verdicts(agent: Living) -> dict[str, bool]:
    """Return what the agent keeps of its probes for its next start."""
    file = agent.state / "verdicts.json"
    return json.loads(file.read_bytes()) if file.exists() else {}


def targets(agent: Living) -> str:
    """Return what the kernel has of endpoints."""
    return "".join(
        agent.nft("list", "map", "ip", "groundplane-services", name)
        for name in ("slots", "endpoints")
    )


def test_a_failed_backend_leaves_within_its_bound_and_returns_when_it_passes(
    agent: Living, backends: Backends
) -> None:
    agent.start()
    agent.until(partial(failing, agent, 0))
    assert all(address in targets(agent) for address in ADDRESSES.values())
    backends.kill("b")
    start = time.monotonic()
    agent.until(lambda: ADDRESSES["b"] not in targets(agent))
    assert PATIENCE * BOUND > time.monotonic() - start
    agent.until(lambda: agent.events("EndpointLeft"))
    (event,) = agent.events("EndpointLeft")
    told = "no endpoint of default/web any more: its probe fails: connection refused"
    assert ("Workload/default/b", told) == (event["about"], event["message"])
    backends.revive("b")
    agent.until(lambda: ADDRESSES["b"] in targets(agent), 5)


def test_a_service_whose_endpoints_all_fail_is_refused(agent: Living, backends: Backends) -> None:
    agent.start()
    agent.until(partial(failing, agent, 0))
    backends.kill("a", "b")
    agent.until(partial(failing, agent, 2), 5)
    with pytest.raises(ConnectionRefusedError):
        within(agent.netns, lambda: socket.create_connection(("10.96.0.5", 80), 2))
    assert not any(ADDRESSES[name] in targets(agent) for name in "ab")


def test_a_restarted_agent_remembers_who_failed(agent: Living, backends: Backends) -> None:
    backends.kill("b")
    agent.start()
    agent.until(partial(failing, agent, 1))
    kept = {"default/a": True, "default/b": False, "default/c": True}
    agent.until(lambda: verdicts(agent) == kept)  # they are written a little after they are told
    agent.kill()
    agent.start()
    agent.until(partial(failing, agent, 1))
    assert [] == agent.events("EndpointLeft") + agent.events("EndpointReturned")


def test_a_node_that_is_cut_off_keeps_its_endpoints_and_says_so(
    agent: Living, backends: Backends
) -> None:
    """Its uplink is a bridge without ports here, so nobody answers once its own addresses are gone."""
    agent.start()
    agent.until(partial(failing, agent, 0))
    whole = targets(agent)
    backends.kill("b", "c")
    agent.until(lambda: agent.events("HeldEndpoints"), 6)
    (event,) = agent.events("HeldEndpoints")
    assert event["message"].endswith(
        "reaches neither a gateway nor another node: they stay endpoints"
    )
    agent.until(lambda: agent.status["held"] == 2, 4)
    assert whole == targets(agent)
    ip(f"-n {agent.netns} address add 192.0.2.2/32 dev lo")  # the other node answers again
    agent.until(partial(failing, agent, 2), 6)
    assert 1 == len(agent.events("ReleasedEndpoints"))
    assert verdicts(agent)["default/a"]


def test_a_node_that_heals_believes_no_check_that_it_made_while_it_was_cut_off(
    agent: Living, backends: Backends
) -> None:
    """The workloads are well all the time; connections to them must not be refused."""
    agent.start()
    agent.until(partial(failing, agent, 0))
    backends.kill("b", "c")
    agent.until(lambda: agent.status["held"] == 2, 8)
    backends.revive("b", "c")
    ip(f"-n {agent.netns} address add 192.0.2.2/32 dev lo")
    agent.until(lambda: agent.events("ReleasedEndpoints"), 4)
    agent.until(lambda: agent.status["held"] == 0, 6)
    assert [] == agent.events("EndpointLeft")
    assert failing(agent, 0)

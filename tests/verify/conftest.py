"""The site under test: its catalog, and a testinfra host for every node.

Run from the root of the checkout:

    make verify INVENTORY=inventories/lab.py
    GROUNDPLANE_SOURCE=/path/to/catalog make verify INVENTORY=inventories/site.py
"""

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import testinfra

from groundplane.project import NodeState
from groundplane.site import compiled
from groundplane_deploys.catalog import compiled_site, node_state, read_source
from groundplane_deploys.hosts import groups_of
from groundplane_deploys.lab import enter, ssh_config
from groundplane_deploys.lab.site import lab_of
from tests.verify.report import Reach, Result, page

PROBE = Path(__file__).with_name("probe.py").read_text()
IN_LAB = Path(os.environ.get("INVENTORY", "")).stem == "lab"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each node, for each service, for each place that reaches one."""
    names = metafunc.fixturenames
    if "node" in names:
        metafunc.parametrize("node", list(read_source().nodes), scope="session")
    if "hypervisor" in names:
        metafunc.parametrize("hypervisor", list(read_source().hypervisors), scope="session")
    if "service" in names:
        services = compiled_site().services
        metafunc.parametrize("service", services, ids=lambda s: f"{s.namespace}/{s.name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--html", metavar="FILE", type=Path, help="write a page with a picture there")


_RESULTS = pytest.StashKey[list[Result]]()
_REACHED = pytest.StashKey[set[Reach]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS], config.stash[_REACHED] = [], set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what each test came to, and what it was about."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        parameters = getattr(item, "callspec", None)
        about = parameters.params if parameters else {}
        service = about.get("service")
        item.config.stash[_RESULTS].append(
            Result(
                item.name,
                report.outcome,
                about.get("node", ""),
                f"{service.namespace}/{service.name}" if service else "",
                report.longreprtext if report.failed else "",
                call.duration,
            )
        )
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = session.config.option.html
    if file is not None:
        site = compiled_site()
        results, reached = session.config.stash[_RESULTS], session.config.stash[_REACHED]
        name = read_source().cluster.metadata.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(f"Verification of {name}", site, results, reached))


class Reached:
    """What a service comes to from each place of a node: all of them are tried before it fails."""

    def __init__(self, kept: set[Reach], node: str, service: str) -> None:
        self._kept, self._node, self._service = kept, node, service
        self._wrong: list[str] = []

    def expect(self, place: str, asked: str, expected: object, found: object) -> None:
        """Note that *asked* came to *found* from *place*, where *expected* is right."""
        if expected != found:
            where = place or self._node
            self._wrong.append(f"{asked} from {where}: expected {expected}, got {found}")
        reach = Reach(self._node, place, self._service, right=expected == found)
        if reach.right and reach._replace(right=False) in self._kept:
            return
        self._kept.discard(reach._replace(right=True))
        self._kept.add(reach)

    def all_right(self) -> None:
        """Fail with everything that was not."""
        assert not self._wrong, "\n".join(self._wrong)


@pytest.fixture
def reached(request: pytest.FixtureRequest, node: str, service: compiled.Service) -> Reached:
    kept = request.config.stash[_REACHED]
    return Reached(kept, node, f"{service.namespace}/{service.name}")


@pytest.fixture(scope="session", autouse=True)
def _in_the_sites_network() -> None:
    if IN_LAB:
        enter(lab_of(read_source()))
    return


@pytest.fixture(scope="session")
def hosts() -> dict[str, Any]:
    """Return a testinfra host for every machine, reached as the deploys reach it."""
    if IN_LAB:
        config = ssh_config(lab_of(read_source()))
        names = (*read_source().hypervisors, *read_source().nodes)
        return {n: testinfra.get_host(f"ssh://{n}?ssh_config={config}") for n in names}
    found = {}
    groups = groups_of(read_source())
    for name, data in (*groups.get("hypervisors", ()), *groups["nodes"]):
        key = f"?ssh_identity_file={data['ssh_key']}" if "ssh_key" in data else ""
        target = f"ssh://{data['ssh_user']}@{data['ssh_hostname']}:{data['ssh_port']}{key}"
        pinned = f"-o UserKnownHostsFile={data.get('ssh_known_hosts_file', '~/.ssh/known_hosts')}"
        found[name] = testinfra.get_host(
            target, sudo=data.get("_sudo", False), ssh_extra_args=pinned
        )
    return found


@pytest.fixture
def on(node: str, hosts: dict[str, Any]) -> Any:
    """Return the testinfra host of the node under test."""
    return hosts[node]


@pytest.fixture(scope="session")
def site() -> compiled.Site:
    return compiled_site()


@pytest.fixture
def wanted(node: str) -> NodeState:
    """Return what the node under test has to be."""
    return node_state(node)


class Probes:
    """Tries connections and names on the nodes, all of one place in one go, and remembers them."""

    def __init__(self, hosts: dict[str, Any], site: compiled.Site) -> None:
        self._hosts, self._site = hosts, site
        self._found: dict[tuple[str, str], dict[str, Any]] = {}

    def _questions(self) -> list[list[Any]]:
        domain = self._site.domain
        asks: list[list[Any]] = []
        for service in self._site.services:
            name = f"{service.name}.{service.namespace}.svc.{domain}"
            asks.append(["name", name, 0])
            ports = [port.port for port in service.ports if port.protocol == "TCP"]
            own = (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips)
            asks += [["tcp", ip, port] for ip in own for port in ports]
            if service.cluster_ips:
                asks += [["tcp", name, port] for port in ports]
        return asks

    def of(self, node: str, netns: str) -> dict[str, Any]:
        """Return what *node* sees, from the workload *netns* or from itself (""): "kind host port"."""
        if (node, netns) not in self._found:
            inside = f"ip netns exec {netns} " if netns else ""
            done = self._hosts[node].run(
                f"{inside}python3 -c %s %s", PROBE, json.dumps(self._questions())
            )
            assert done.succeeded, done.stderr
            self._found[node, netns] = json.loads(done.stdout)
        return self._found[node, netns]


@pytest.fixture(scope="session")
def probes(hosts: dict[str, Any], site: compiled.Site) -> Probes:
    return Probes(hosts, site)

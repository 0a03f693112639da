"""Names and addresses as programs get them: by glibc and by musl, with a workload's resolv.conf."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from groundplane.dataplanes.links.units import resolv_conf
from groundplane.project.state import NodeState
from tests.kernel.named import OUTSIDE, Resolver, Server
from tests.kernel.spaces import files, node
from tests.kernel.test_names import DB
from tests.kernel.world import ip
from tests.states import BASE, WORKLOADS, external_name, service

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

INTERNATIONAL = "xn--bcher-kva.example.org."
STATE = NodeState.of(
    BASE,
    [
        service("web", ["10.96.0.5", "fd00:96::5"]),
        service("four", ["10.96.0.6"]),
        DB,
        external_name("inside", "web.default.svc.cluster.local"),
        external_name("twice", "inside.default.svc.cluster.local"),
        external_name("out", OUTSIDE.rstrip(".")),
        external_name("books", INTERNATIONAL.rstrip(".")),
        external_name("dangling", "none.default.svc.cluster.local"),
    ],
    WORKLOADS,
)
Client = Callable[[str, str], str]  # ahosts or hosts, and a name or an address, to what is printed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A namespace where programs have the resolver configuration of a workload."""
    with node("clients") as netns, ExitStack() as stack:
        ip(
            f"-n {netns} address add 10.244.1.1/24 dev groundplane0",
            f"-n {netns} address add fd00:244:0:1::1/64 dev groundplane0 nodad",
        )
        outside = {OUTSIDE: "192.0.2.80", INTERNATIONAL: "192.0.2.81", "example.org.": "192.0.2.82"}
        stack.callback(Resolver(netns, known=outside).close)
        server = Server(netns, tmp_path_factory.mktemp("clients"), port=53)
        stack.callback(server.stop)
        server.apply(STATE)
        stack.enter_context(
            files(
                netns,
                resolv_conf=resolv_conf(BASE, "default"),
                nsswitch_conf="hosts: files dns\n",
                hosts="127.0.0.1 localhost\n",
            )
        )
        yield netns


@pytest.fixture(scope="module")
def musl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not installed")
    program = tmp_path_factory.mktemp("musl") / "addresses"
    source = Path(__file__).with_name("addresses.c")
    subprocess.run(["musl-gcc", "-static", "-Wall", "-o", program, source], check=True)
    return program


@pytest.fixture(params=["glibc", "musl"])
def client(request: pytest.FixtureRequest, place: str) -> Client:
    program = "getent" if request.param == "glibc" else request.getfixturevalue("musl")

    def run(what: str, name: str) -> str:
        command = ["ip", "netns", "exec", place, program, what, name]
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout

    return run


def addresses(client: Client, name: str) -> set[str]:
    return {line.split()[0] for line in client("ahosts", name).splitlines()}


WEB = {"10.96.0.5", "fd00:96::5"}
DBS = {
    *("10.244.1.10", "10.244.1.20", "10.244.1.21", "10.244.2.10"),
    *("fd00:244:0:1::10", "fd00:244:0:2::9"),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web", WEB),
        ("web.default", WEB),
        ("web.default.svc", WEB),
        ("web.default.svc.cluster.local", WEB),
        ("web.default.svc.cluster.local.", WEB),
        ("WEB", WEB),
        ("four", {"10.96.0.6"}),  # that it has no AAAA is not a failure
        ("db", set()),  # of another namespace
        ("db.store", DBS),
        ("db-0.db.store", {"10.244.1.10", "fd00:244:0:1::10"}),
        ("twins.db.store.svc.cluster.local", {"10.244.1.20", "10.244.1.21"}),
        ("inside", WEB),
        ("twice.default", WEB),
        ("out", {"192.0.2.80"}),
        ("out.default.svc.cluster.local", {"192.0.2.80"}),
        ("books", {"192.0.2.81"}),  # IDNA
        ("dangling", set()),
        ("n2.node", {"192.0.2.2", "2001:db8::2"}),
        ("10-244-1-10.default.pod", {"10.244.1.10"}),
        ("db.example.org", {"192.0.2.80"}),  # the search list is tried first
        ("example.org", {"192.0.2.82"}),
        ("none", set()),
        ("none.example.org", set()),
    ],
)
def test_a_name_has_the_addresses(client: Client, name: str, expected: set[str]) -> None:
    assert expected == addresses(client, name)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.96.0.5", "web.default.svc.cluster.local"),
        ("fd00:96::5", "web.default.svc.cluster.local"),
        ("10.244.1.10", "db-0.db.store.svc.cluster.local"),
        ("10.244.1.21", "twins.db.store.svc.cluster.local"),
        ("10.244.2.10", "10-244-2-10.db.store.svc.cluster.local"),
        ("fd00:244:0:2::9", "fd00-244-0-2--9.db.store.svc.cluster.local"),
    ],
)
def test_an_address_has_the_name(client: Client, address: str, name: str) -> None:
    assert [address, name] == client("hosts", address).split()


@pytest.mark.parametrize("address", ["10.96.0.99", "10.244.9.9", "fd00:96::99"])
def test_an_address_of_nobody_has_no_name(client: Client, address: str) -> None:
    assert "" == client("hosts", address)

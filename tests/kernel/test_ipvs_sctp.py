"""SCTP by IPVS: associations of the kernel's own sockets, by every way to an endpoint.

Needs root, and a kernel with IPVS and SCTP (tests/vms/test_ipvs.py).
"""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.load import load
from groundplane.net.address import family_of
from groundplane.net.protocols import Family
from tests.kernel.ipvs import need_ipvs
from tests.kernel.spaces import own
from tests.kernel.world import World, run, within, world

pytestmark = pytest.mark.kernel

SITE: Final = Path(__file__).parents[1] / "conformance/site.yaml"
SERVICE: Final = """\
---
apiVersion: v1
kind: Service
metadata: {name: signalling}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  externalIPs: [203.0.113.50, "2001:db8:113::50"]
  selector: {app: web}
  ports: [{name: m3ua, port: 2905, protocol: SCTP, nodePort: 30905}]
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_ipvs()
    if subprocess.run(["modprobe", "sctp"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel has no SCTP")
    source = tmp_path_factory.mktemp("sctp")
    text = SITE.read_text().replace("spec:\n", "spec:\n  proxyMode: ipvs\n", 1)
    (source / "site.yaml").write_text(text + SERVICE)
    catalog = load(source)
    assert [] == check(catalog)
    site = compile_site(catalog, allocate(catalog, Lock()))
    with ExitStack() as stack:
        built = stack.enter_context(world(site, own("s")))
        for name in ("a", "b", "c"):
            stack.enter_context(answering(built.workload(name), name.encode()))
        yield built


@contextmanager
def answering(netns: str, name: bytes) -> Iterator[None]:
    """Send *name*, and the client's address, to every association; then what it sends."""

    def listen() -> socket.socket:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(("::", 2905))
        opened.listen(64)
        return opened

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, peer = listener.accept()
                with connection, suppress(OSError):
                    connection.send(name + b" " + peer[0].removeprefix("::ffff:").encode())
                    while received := connection.recv(100):
                        connection.send(received)

    listener = within(netns, listen)
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listener.close()


def associate(address: str, port: int) -> list[str]:
    """Return who answers, whom it sees, and what it sends back of what it was sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as client:
        client.settimeout(5)
        client.connect((address, port))
        said = client.recv(100).decode()
        client.send(b"later")
        return [*said.split(), client.recv(100).decode()]


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("way", ["cluster IP", "external IP", "node port"])
@pytest.mark.parametrize("client", ["a", "n1", "near", "far"])
def test_an_association_is_balanced(net: World, client: str, way: str, family: Family) -> None:
    service = next(each for each in net.site.services if each.name == "signalling")
    addresses = {
        "cluster IP": service.cluster_ips,
        "external IP": service.external_ips,
        "node port": next(each.addresses for each in net.site.nodes if each.name == "n1"),
    }[way]
    address = next(each for each in addresses if family_of(each) == family)
    port = 30905 if way == "node port" else 2905
    seen = within(net.place(client), lambda: [associate(address, port) for _ in range(6)])
    assert {"a", "b", "c"} == {name for name, _, _ in seen}
    assert {"later"} == {sent for _, _, sent in seen}
    shown = run(net.node("n1"), "ipvsadm", "--list", "--numeric")
    assert f"SCTP {address if family == 'IPv4' else f'[{address}]'}:{port} rr" in " ".join(
        shown.split()
    )

"""What an agent takes that has nothing to do.

    python -m bench.idle [--seconds 60]

As root, each agent in a network namespace of its own beside BIND, with nine services whose twelve
workloads are in the same namespace. A control is measured at the same time: an event loop of
Python that wakes up once a second and does nothing. Times are those of /proc/PID/stat: the children
are what the agent has started and waited for, as git; ssh, which keeps the connection to a server,
is a process of its own. Of a second of CPU time /proc has hundredths: over a minute these are 0.02 %.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from bench.name_servers import KEY, bind
from bench.network import new_network
from groundplane.cli.ask import NoAgent, ask
from groundplane.compile.pipeline import compile_source
from groundplane.dataplanes.dns import local_files, server_config
from groundplane.node.config_files import zone_files
from groundplane.processes.own_command import own_command
from groundplane.project import project, project_base
from groundplane.project.state import NodeBase
from tests.sources.repositories import Repository
from tests.sources.sshd import running, sshd

SERVICES: Final = 9
WORKLOADS: Final = 12
PERIOD_S: Final = 10
PORT: Final = 8080
SETTLED_S: Final = 12.0  # after the start: first checks, and a look at everything
PROBE: Final = f"\n  readinessProbe: {{tcpSocket: {{port: http}}, periodSeconds: {PERIOD_S}}}"
CONTROL: Final = """
import asyncio
async def wake():
    while True:
        await asyncio.sleep(1)
asyncio.run(wake())
"""
CLUSTER: Final = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: bench}
spec:
  serviceCIDRs: [10.96.0.0/24, 'fd00:96::/112']
  workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}, {cidr: 'fd00:244::/48', nodePrefix: 64}]
"""
NODE: Final = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: n{number}}}
spec:
  addresses: [192.0.2.{number}, '2001:db8::{number}']
  workloadSubnets: [10.244.{number}.0/24, 'fd00:244:0:{number}::/64']
"""
WORKLOAD: Final = """\
---
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: app-{number}, labels: {{app: app-{app}}}}}
spec:
  node: n{node}
  addresses: [10.244.{node}.{host}, 'fd00:244:0:{node}::{host}']
  ports: [{{name: http, port: {port}}}]{probe}
"""
SERVICE: Final = """\
---
apiVersion: v1
kind: Service
metadata: {{name: app-{number}}}
spec: {{clusterIP: 10.96.0.{host}, selector: {{app: app-{number}}}, ports: [{ports}]}}
"""
TCP: Final = "{name: http, port: 80, targetPort: http}"
UDP: Final = "{name: names, port: 53, protocol: UDP}"  # its conntrack entries are looked at


class Cost(NamedTuple):
    """CPU seconds until now."""

    agent: float
    children: float
    ssh: float
    control: float


def site(*, probed: bool) -> dict[str, str]:
    """Return the files of a source; every third service has a port of UDP."""
    text = CLUSTER + "".join(NODE.format(number=number) for number in (1, 2, 3))
    lock = [f"Node/n{number} 10.244.{number}.0/24 fd00:244:0:{number}::/64" for number in (1, 2, 3)]
    for number in range(WORKLOADS):
        node, host = 1 + number % 3, 10 + number
        text += WORKLOAD.format(
            number=number, app=number % SERVICES, node=node, host=host, port=PORT,
            probe=PROBE if probed else "",
        )  # fmt: skip
        addresses = f"10.244.{node}.{host} fd00:244:0:{node}::{host}"
        lock.append(f"Workload/default/app-{number} {addresses}")
    for number in range(SERVICES):
        ports = TCP if number % 3 else f"{TCP}, {UDP}"
        text += SERVICE.format(number=number, host=10 + number, ports=ports)
        lock.append(f"Service/default/app-{number} 10.96.0.{10 + number}")
    return {"site.yaml": text, "addresses.lock": "\n".join(sorted(lock)) + "\n"}


def build_node(base: NodeBase) -> None:
    """Make this namespace a node, where all workloads answer on loopback."""
    lines = [
        "link set lo up",
        "link add uplink type bridge",
        "link set uplink up",
        "address add 192.0.2.1/24 dev uplink",
        "address add 2001:db8::1/64 dev uplink nodad",
        f"link add groundplane0 address {base.bridge_mac} type bridge",
        "link set groundplane0 up",
    ]
    for address, subnet in zip(base.bridge_addresses, base.subnets, strict=True):
        extra = " nodad" if ":" in address else ""
        length = subnet.partition("/")[2]
        lines.append(f"address add {address}/{length} dev groundplane0{extra}")
    places = (f"10.244.{1 + number % 3}.{10 + number}/32" for number in range(WORKLOADS))
    lines.extend(f"address add {place} dev lo" for place in places)
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


@contextmanager
def answering() -> Iterator[None]:
    """Accept what comes to the workloads, and end it."""
    with socket.create_server(("0.0.0.0", PORT), backlog=100) as listener:  # noqa: S104

        def answer() -> None:
            with suppress(OSError):  # it was shut down
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=answer, daemon=True).start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def named(directory: Path, source: Path, base: NodeBase) -> Iterator[Path]:
    """Run BIND with the zones of the node at port 53; yield the file of its key."""
    key = directory / "key"
    key.write_text(KEY)
    for name, text in zone_files(project(compile_source(source), base.name, frozenset())).items():
        (directory / name.removeprefix("zones/")).write_text(text)
    for zone, text in local_files(base).items():
        (directory / f"{zone}.zone").write_text(text)
    places = dict.fromkeys(("directory", "journals", "cache", "local"), str(directory))
    server = bind(directory, server_config(base, key_file=str(key), port=53, **places), 53)
    try:
        server.until_it_answers(f"app-0.default.svc.{base.domain}.")
        yield key
    finally:
        server.close()


@contextmanager
def repository(directory: Path, files: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """Serve *files* by git and a real sshd; yield the source, and the directory of trust."""
    server = sshd(directory)
    Repository(directory / "site.git").commit(files)
    trust = directory / "trust"
    trust.mkdir()
    (directory / "a key").rename(trust / "ssh_key")
    (directory / "known hosts").rename(trust / "known_hosts")
    with running(server):
        yield f"git+ssh://{server.place}/site.git?ref=main", trust


@contextmanager
def process(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file, subprocess.Popen(command, stdout=file, stderr=file) as started:
        try:
            yield started
        finally:
            started.terminate()


def until_healthy(runtime: Path, log: Path) -> None:
    """Wait until the agent has taken its source, and every dataplane holds it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.2)
        with suppress(NoAgent):
            status = json.loads(ask(runtime, "/status"))
            behind = status["sourceError"] or any(each["error"] for each in status["planes"])
            if status["revision"] and status["sourceChecked"] and not behind:
                return
    raise SystemExit(f"bench: the agent does not come to rest:\n{log.read_text()[-4000:]}")


def spent(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process, and those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return own / os.sysconf("SC_CLK_TCK"), children / os.sysconf("SC_CLK_TCK")


def masters() -> Iterator[int]:
    """Yield the processes of this network namespace in which ssh keeps a connection."""
    ours = os.readlink("/proc/self/ns/net")
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(path / "ns/net") == ours and b"ssh: " in (path / "cmdline").read_bytes():
                yield int(path.name)


def cost(agent: int, control: int) -> Cost:
    return Cost(*spent(agent), sum(spent(pid)[0] for pid in masters()), spent(control)[0])


def measure(what: str, seconds: float, *, probed: bool = False, over_ssh: bool = False) -> None:
    """Print what an agent takes over *seconds* once it is at rest."""
    new_network()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gp-bench-")))
        for name in ("etc", "etc/catalog", "bind", "server", "state"):
            (root / name).mkdir()
        # In memory, as /run is on nodes.
        runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        catalog, log = root / "etc/catalog", root / "log"
        files = site(probed=probed)
        for name, text in files.items():
            (catalog / name).write_text(text)
        base = project_base(compile_source(catalog), "n1")
        build_node(base)
        stack.enter_context(answering())
        key = stack.enter_context(named(root / "bind", catalog, base))
        source, trust = str(catalog), root / "etc"
        if over_ssh:
            source, trust = stack.enter_context(repository(root / "server", files))
        command = (
            *own_command("agent", "run", "--node", "n1", "--source", source),
            "--trust", str(trust), "--health", str(root / "etc/health.yaml"), "--dns-key", str(key),
            "--state-directory", str(root / "state"), "--runtime-directory", str(runtime),
        )  # fmt: skip
        agent = stack.enter_context(process(*command, log=log))
        control = stack.enter_context(process(sys.executable, "-c", CONTROL, log=log))
        until_healthy(runtime, log)
        time.sleep(SETTLED_S)
        before, start = cost(agent.pid, control.pid), time.monotonic()
        time.sleep(seconds)
        after, took = cost(agent.pid, control.pid), time.monotonic() - start
        print(f"{what}, over {took:.0f} s")
        for name, old, new in zip(Cost._fields, before, after, strict=True):
            _row(_NAMES[name], (new - old) / took)


_NAMES: Final = {
    "agent": "the agent",
    "children": "its children",
    "ssh": "ssh, which keeps the connection",
    "control": "control: a loop that wakes once a second",
}


def _row(what: str, share: float) -> None:
    print(f"  {what:<58}{share:>8.2%}", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    print(f"{SERVICES} services, {WORKLOADS} workloads; CPU of one core")
    measure("a directory", options.seconds)
    measure("git+ssh", options.seconds, over_ssh=True)
    probes = f"git+ssh, probes every {PERIOD_S} s"
    measure(probes, options.seconds, over_ssh=True, probed=True)


if __name__ == "__main__":
    main()

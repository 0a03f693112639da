"""An agent of this version, alive in a network namespace of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groundplane.cli.ask import NoAgent, ask
from tests.kernel import spaces
from tests.kernel.world import run
from tests.waiting import until

SITE = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: lab}
spec:
  serviceCIDRs: [10.96.0.0/24, 'fd00:96::/112']
  dns: {clusterIPs: []}
  workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}, {cidr: 'fd00:244::/48', nodePrefix: 64}]
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n1}
spec: {addresses: [192.0.2.1, '2001:db8::1'], workloadSubnets: [10.244.1.0/24, 'fd00:244:0:1::/64']}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n2}
spec: {addresses: [192.0.2.2, '2001:db8::2'], workloadSubnets: [10.244.2.0/24, 'fd00:244:0:2::/64']}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: a, labels: {app: web}}
spec: {node: n1, addresses: [10.244.1.10, 'fd00:244:0:1::10'], ports: [{name: http, port: 8080}]}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: b, labels: {app: web}}
spec: {node: n2, addresses: [10.244.2.10, 'fd00:244:0:2::10'], ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.5
  sessionAffinity: ClientIP
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
"""
LOCK = """\
Node/n1 10.244.1.0/24 fd00:244:0:1::/64
Node/n2 10.244.2.0/24 fd00:244:0:2::/64
Service/default/web 10.96.0.5
Workload/default/a 10.244.1.10 fd00:244:0:1::10
Workload/default/b 10.244.2.10 fd00:244:0:2::10
"""
API = """\
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {clusterIP: 10.96.0.6, ports: [{port: 80}]}
"""


class Living:
    """The agent's directories, its process, and what it answers."""

    def __init__(self, netns: str, root: Path) -> None:
        self.netns, self.root = netns, root
        self.source, self.state, self.runtime = root / "site", root / "state", root / "run"
        for each in (self.source, self.state, self.runtime):
            each.mkdir()
        self.write({"site.yaml": SITE, "addresses.lock": LOCK})
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.source / name).write_text(text)

    def add_a_service(self) -> None:
        self.write({"addresses.lock": LOCK + "Service/default/api 10.96.0.6\n", "api.yaml": API})

    def command(self, *arguments: str, module: Sequence[str] = ("groundplane",)) -> list[str]:
        groundplane = [sys.executable, "-m", *module, *arguments]
        return ["ip", "netns", "exec", self.netns, *groundplane]

    def start(
        self, *options: str, source: str = "", module: Sequence[str] = ("groundplane",)
    ) -> None:
        """Start the agent; it writes to a file in its directory."""
        log = (self.root / "log").open("ab")
        arguments = (
            "agent", "run", "--node", "n1", "--without-dns", "--source", source or str(self.source),
            "--health", str(self.root / "health.yaml"), "--state-directory", str(self.state),
            "--runtime-directory", str(self.runtime), *options,
        )  # fmt: skip
        command = self.command(*arguments, module=module)
        self.process = subprocess.Popen(command, stderr=log, env=os.environ | self.environment)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                self.process.kill()
                self.process = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)
        self.process = None

    def groundplane(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that asks the agent."""
        options = ("--runtime-directory", str(self.runtime))
        return subprocess.run(self.command(*arguments, *options), text=True, capture_output=True)

    @property
    def status(self) -> dict[str, Any]:
        """Return what the agent says; nothing while it does not answer."""
        try:
            return dict(json.loads(ask(self.runtime, "/status")))
        except NoAgent:
            return {}

    def events(self, reason: str = "") -> list[dict[str, Any]]:
        found = json.loads(ask(self.runtime, "/events"))
        return [event for event in found if reason in ("", event["reason"])]

    def log(self) -> str:
        """Return the end of what the agent has logged."""
        return (self.root / "log").read_text()[-4000:]

    def until(self, condition: Callable[[], object], seconds: float = 15) -> float:
        """Wait until *condition* holds; return how long that took.

        An idle machine needs less than *seconds* for it, a busy one several times as long.
        """

        def alive_and_true() -> object:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            return condition()

        return until(alive_and_true, seconds, self.log, every=0.01)

    def until_healthy(self) -> None:
        """Wait until the source was taken, and every dataplane holds it."""
        self.until(lambda: self.status.get("revision") and self.status["sourceChecked"])
        self.until(lambda: not any(plane["busySince"] for plane in self.status["planes"]))
        self.until(lambda: 0 == self.groundplane("agent", "status").returncode)

    def nft(self, *arguments: str) -> str:
        return run(self.netns, "nft", *arguments)

    def ip(self, *arguments: str) -> str:
        return run(self.netns, "ip", *arguments)

    def rules(self) -> list[str]:
        """Return everything of ours in the kernel, in an order of its own, without handles."""
        tables = [each for each in self.nft("list", "tables").splitlines() if "groundplane" in each]
        listed = [
            line.strip()
            for table in tables
            for line in self.nft("list", *table.split()).splitlines()
        ]
        elements = sorted(" ".join(listed).replace(",", " ").split())
        routes = sorted(self.ip("route", "show", "proto", "71").splitlines())
        addresses = [line for line in self.ip("-o", "address", "show", "dev", "groundplane0").splitlines()
                     if "scope global" in line]  # fmt: skip
        return [*elements, *routes, *addresses]


@contextmanager
def living(name: str, root: Path) -> Iterator[Living]:
    """Make the namespace of a node and the directories of its agent; whoever runs it is stopped."""
    with spaces.node(name) as netns:
        agent = Living(netns, root)
        try:
            yield agent
        finally:
            agent.stop()

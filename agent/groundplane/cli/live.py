"""What the agent of this node uses now: its saved site, and the results of its probes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from groundplane.agent.store import load_site
from groundplane.agent.workload_health import WorkloadHealth
from groundplane.cli.agent_status import instant
from groundplane.cli.ask import ask
from groundplane.cli.explain import EndpointStatus, endpoint_verdicts
from groundplane.cli.services import UNHEARD, cluster_ip_text
from groundplane.cli.tables import Row, endpoint_documents, targets_text
from groundplane.project.select_endpoints import Failing
from groundplane.site import compiled
from groundplane.site.blocks import Key
from groundplane.site.snapshot import Snapshot, decode


@dataclass(frozen=True)
class Live:
    """The site that the agent keeps, and the health of its workloads."""

    site: Snapshot
    health: Mapping[Key, WorkloadHealth]

    @property
    def failing(self) -> Failing:
        found = self.health.values()
        return frozenset(each.key for each in found if not each.passing and not each.held)

    def verdicts(self, service: compiled.Service) -> list[EndpointStatus]:
        """Return every endpoint of *service*, with the result of its probe."""
        draining = {node.name for node in self.site.head.nodes if node.draining}
        found = endpoint_verdicts(service, self.failing, draining)
        return [self._answered(service.namespace, each) for each in found]

    def _answered(self, namespace: str, verdict: EndpointStatus) -> EndpointStatus:
        health = self.health.get((namespace, verdict.workload))
        if health is None:
            return verdict
        return verdict._replace(reason=f"{verdict.reason}; {_answer(health)}")


def live_site(state_directory: Path, runtime_directory: Path) -> Live:
    """Return what the agent uses; NoAgent if it does not answer, StateError without a site."""
    listed = msgspec.json.decode(ask(runtime_directory, "/health"), type=tuple[WorkloadHealth, ...])
    return Live(decode(load_site(state_directory)), {each.key: each for each in listed})


def live_rows(plural: str, live: Live) -> list[Row]:
    """Return the rows of all services, endpoints or workloads, by namespace and name."""
    if plural == "workloads":
        return list(_workloads(live))
    row = _service if plural == "services" else _endpoints
    return [row(live, each) for each in live.site.every_service()]


def described_live(live: Live, service: compiled.Service) -> Iterator[tuple[str, str]]:
    """Yield heading and text of each property of *service* in the site, except its endpoints."""
    yield "Name", service.name
    yield "Namespace", service.namespace
    yield "Written at", _written_at(live, service) or "<none>"
    yield "DNS", f"{service.name}.{service.namespace}.svc.{live.site.head.domain}"
    yield "IP Families", ",".join(service.families) or "<none>"
    yield "IPs", cluster_ip_text(service)
    yield "External IPs", _external(service)
    for port in service.ports:
        node_port = f", node port {port.node_port}" if port.node_port else ""
        yield "Port", f"{port.name or '<unset>'}  {port.port}/{port.protocol}{node_port}"


def _written_at(live: Live, service: compiled.Service) -> str:
    """Return file and line of *service*, "" for the site's own DNS service."""
    subject = f"Service/{service.namespace}/{service.name}"
    return live.site.places([subject]).get(subject, "")


def live_document(live: Live, service: compiled.Service) -> dict[str, Any]:
    """Return *service* and its endpoints for -o json."""
    return {
        "apiVersion": "groundplane/v1",
        "kind": "LiveService",
        "metadata": {"name": service.name, "namespace": service.namespace},
        "writtenAt": _written_at(live, service),
        "clusterIPs": list(service.cluster_ips),
        "externalIPs": [*service.load_balancer_ips, *service.external_ips],
        "ports": [
            {"name": p.name, "port": p.port, "protocol": p.protocol, "nodePort": p.node_port}
            for p in service.ports
        ],
        "endpoints": endpoint_documents(live.verdicts(service)),
    }


def _service(live: Live, service: compiled.Service) -> Row:
    found = live.verdicts(service)
    ready = sum(verdict.counts for verdict in found)
    ports = ",".join(
        f"{p.port}:{p.node_port}/{p.protocol}" if p.node_port else f"{p.port}/{p.protocol}"
        for p in service.ports
    )
    columns = [
        ("NAME", service.name),
        ("CLUSTER-IP", cluster_ip_text(service)),
        ("EXTERNAL-IP", _external(service)),
        ("PORT(S)", ports or "<none>"),
        ("ENDPOINTS", "<none>" if service.external_name else f"{ready}/{len(found)}"),
    ]
    return Row(*service.key, columns, [], live_document(live, service))


def _endpoints(live: Live, service: compiled.Service) -> Row:
    found = live.verdicts(service)
    idle = ", ".join(f"{v.workload or v.node}: {v.reason}" for v in found if not v.counts)
    columns = [
        ("NAME", service.name),
        ("ENDPOINTS", targets_text(found)),
        ("NOT COUNTED", idle or "<none>"),
    ]
    return Row(*service.key, columns, [], live_document(live, service))


def _workloads(live: Live) -> Iterator[Row]:
    places = dict(sorted(_places(live.site)))
    for key in sorted(places.keys() | live.health.keys()):
        node, addresses = places.get(key, ("", ()))
        health = live.health.get(key)
        columns = [
            ("NAME", key[1]),
            ("HEALTH", _state(health)),
            ("SINCE", instant(health.since) if health and health.since else "-"),
            ("NODE", node or "<none>"),
            ("ADDRESS", ",".join(addresses) or "<none>"),
            ("ANSWER", health.why if health else "it has no probe"),
        ]
        document = {
            "apiVersion": "groundplane/v1",
            "kind": "LiveWorkload",
            "metadata": {"name": key[1], "namespace": key[0]},
            "node": node,
            "addresses": list(addresses),
            "health": msgspec.to_builtins(health) if health else None,
        }
        yield Row(*key, columns, [], document)


def _places(site: Snapshot) -> Iterator[tuple[Key, tuple[str, tuple[str, ...]]]]:
    """Yield the key, node and addresses of workloads.

    These are the workloads with addresses of their own, and those that a service selects.
    """
    for service in site.every_service():
        for each in service.endpoints.rows():
            if each.workload:
                addresses = _present((each.ipv4, each.ipv6))
                yield (service.namespace, each.workload), (each.node, addresses)
    for workloads in site.every_node_workloads():
        for workload in workloads:
            yield (workload.namespace, workload.name), (workload.node, workload.addresses)


def _present(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _state(health: WorkloadHealth | None) -> str:
    if health is None:
        return "-"
    return "passes" if health.passing else "held" if health.held else "fails"


def _answer(health: WorkloadHealth) -> str:
    if not health.since:
        return health.why
    return f"{_state(health)} since {instant(health.since)}: {health.why}"


def _external(service: compiled.Service) -> str:
    own: Sequence[str] = [f"{text}{UNHEARD}" for text in service.load_balancer_ips]
    return service.external_name or ",".join([*own, *service.external_ips]) or "<none>"

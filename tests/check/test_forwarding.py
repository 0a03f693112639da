"""Ways of IPVS other than masquerading: what they cannot be, each with its reason."""

from pathlib import Path

import pytest

from groundplane.documents.service import ADDRESSES, FORWARDING
from tests.catalogs import faults, warned
from tests.check.documents import PORTS, SITE, service, told

PATH = f"metadata.annotations.{FORWARDING}"
TUNNEL, DIRECT = {FORWARDING: "tunnel"}, {FORWARDING: "direct"}
SELECTED = "selector: {app: web}"


def workload(spec: str, name: str = "a") -> str:
    return (
        "---\napiVersion: groundplane/v1\nkind: Workload\n"
        f"metadata: {{name: {name}, labels: {{app: web}}}}\nspec: {{node: n1, {spec}}}\n"
    )


def endpoints(*addresses: str, port: int = 80) -> str:
    listed = ", ".join(f"{{addresses: ['{each}']}}" for each in addresses)
    return (
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n"
        f"addressType: IPv4\nports: [{{port: {port}}}]\nendpoints: [{listed}]\n"
    )


OWN = workload("addresses: [10.244.6.9]")


@pytest.mark.parametrize(
    "text",
    [
        service(SELECTED, PORTS, annotations=TUNNEL) + OWN,
        service(PORTS, annotations=TUNNEL) + endpoints("192.0.2.50", "10.244.7.7"),
        service(PORTS, annotations=DIRECT) + endpoints("192.0.2.50", "198.51.200.1"),
        service(
            "type: LoadBalancer", "allocateLoadBalancerNodePorts: false",
            "externalIPs: [198.51.100.7]", PORTS, annotations=DIRECT,
        ),
        service(
            "type: NodePort", "externalTrafficPolicy: Local", "ports: [{port: 80, targetPort: 81}]",
            annotations={FORWARDING: "masquerading"},
        ) + workload("hostNetwork: true"),
    ],
)  # fmt: skip
def test_what_a_way_can_be(source: Path, text: str) -> None:
    assert [] == faults(source, text, SITE)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("tunel", 'IPVS has no way "tunel"; did you mean "tunnel"?'),
        ("x", 'IPVS has no way "x"; there are: masquerading, direct, tunnel'),
    ],
)
def test_an_unknown_way_is_one_fault(source: Path, value: str, fault: str) -> None:
    text = service(PORTS, annotations={FORWARDING: value})
    assert told(3, PATH, fault) == faults(source, text)


def test_a_way_needs_something_to_balance(source: Path) -> None:
    text = service("clusterIP: None", PORTS, annotations=TUNNEL)
    assert told(3, PATH, "a service that is headless balances nothing") == faults(source, text)


SEES = "no rule sees where a packet comes from"


@pytest.mark.parametrize(
    ("spec", "path", "fault"),
    [
        (
            ["type: NodePort"],
            "spec.type",
            "a node port is an address of the node, which no endpoint can have",
        ),
        (
            ["type: LoadBalancer"],
            "spec.allocateLoadBalancerNodePorts",
            "it has node ports, whose address no endpoint can have: set it to false",
        ),
        (
            ["externalTrafficPolicy: Local", "externalIPs: [198.51.100.7]"],
            "spec.externalTrafficPolicy",
            f"every client keeps its address anyway, and {SEES}",
        ),
        (
            [
                "loadBalancerSourceRanges: [192.0.2.0/24]", "type: LoadBalancer",
                "allocateLoadBalancerNodePorts: false",
            ],
            "spec.loadBalancerSourceRanges",
            SEES,
        ),
    ],
)  # fmt: skip
def test_what_takes_the_nat_hook_is_refused(
    source: Path, spec: list[str], path: str, fault: str
) -> None:
    (found,) = faults(source, service(*spec, PORTS, annotations=DIRECT), SITE)
    assert found.endswith(f": {path}: {FORWARDING} direct: {fault}")


@pytest.mark.parametrize(
    ("ports", "more", "path", "fault"),
    [
        (
            "ports: [{port: 80, targetPort: 81}]",
            "",
            "spec.ports[0].targetPort",
            f"{FORWARDING} tunnel: the port stays as it is, so 81 has to be 80",
        ),
        (
            "ports: [{port: 80, targetPort: web}]",
            workload("addresses: [10.244.0.9], ports: [{name: web, port: 81}]"),
            PATH,
            "the port stays as it is: web of Workload/a is 81, not 80",
        ),
        (
            PORTS,
            endpoints("192.0.2.50", port=81),
            "ports[0].port",
            f"Service/web has {FORWARDING} tunnel: the port stays as it is, so 81 has to be 80",
        ),
    ],
)
def test_a_target_port_has_to_be_the_port(
    source: Path, ports: str, more: str, path: str, fault: str
) -> None:
    selector = [SELECTED] if "Workload" in more else []
    (found,) = faults(source, service(*selector, ports, annotations=TUNNEL) + more)
    assert found.endswith(f": {path}: {fault}")


ONCE_MORE = "and a node balances what comes to it for a service once more"
BEHIND = "direct reaches what is on the nodes' own link, and"


@pytest.mark.parametrize(
    ("way", "more", "fault"),
    [
        (
            TUNNEL,
            workload("hostNetwork: true"),
            f"Workload/a has its node's own network, {ONCE_MORE}",
        ),
        (
            DIRECT,
            workload("hostNetwork: true"),
            f"Workload/a has its node's own network, {ONCE_MORE}",
        ),
        (DIRECT, OWN, f"{BEHIND} Workload/a is behind its node: tunnel reaches it"),
    ],
)
def test_which_workload_cannot_be_an_endpoint(
    source: Path, way: dict[str, str], more: str, fault: str
) -> None:
    (found,) = faults(source, service(SELECTED, PORTS, annotations=way) + more, SITE)
    assert found.endswith(f": {PATH}: {fault}")


@pytest.mark.parametrize(
    ("way", "address", "fault"),
    [
        ("tunnel", "192.0.2.1", f"192.0.2.1 is Node/n1, {ONCE_MORE}"),
        ("direct", "192.0.2.1", f"192.0.2.1 is Node/n1, {ONCE_MORE}"),
        ("direct", "10.244.7.7", f"{BEHIND} 10.244.7.7 is behind a node: tunnel reaches it"),
    ],
)
def test_which_address_cannot_be_an_endpoint(
    source: Path, way: str, address: str, fault: str
) -> None:
    """It is said where the address is written."""
    text = service(PORTS, annotations={FORWARDING: way}) + endpoints("192.0.2.50", address)
    line = text.count("\n")
    where = f"site/test.yaml:{line}: EndpointSlice/default/web-1: endpoints[1].addresses[0]"
    assert [f"{where}: Service/web has {FORWARDING} {way}: {fault}"] == faults(source, text, SITE)


def test_an_address_from_outside_is_of_one_service(source: Path) -> None:
    balancer = ("type: LoadBalancer", "allocateLoadBalancerNodePorts: false")
    text = service(*balancer, PORTS, annotations={ADDRESSES: "203.0.113.1", **TUNNEL}) + "---\n"
    text += service(
        *balancer, "ports: [{port: 81}]", name="other", annotations={ADDRESSES: "203.0.113.1"}
    )
    (found,) = faults(source, text, SITE)
    assert found.endswith(f": {PATH}: 203.0.113.1 is an address of Service/other too")


def test_a_node_in_the_other_mode_translates(source: Path) -> None:
    text = service(PORTS, annotations=DIRECT) + endpoints("192.0.2.50")
    (warning,) = warned(source, text, SITE)
    assert warning.endswith(f"{PATH}: it is of no effect, since no node has proxyMode ipvs")
    other = (
        "---\napiVersion: groundplane/v1\nkind: Node\nmetadata: {name: n2}\n"
        "spec: {addresses: [192.0.2.2, '2001:db8::2'], proxyMode: ipvs}\n"
    )
    (warning,) = warned(source, text, SITE + other)
    assert f"{PATH}: on nodes with proxyMode nftables, its endpoints are translated to" in warning

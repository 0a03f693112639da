"""What files of tenants may say: each refusal names the tenant, and what it has."""

from pathlib import Path

import pytest

from groundplane.compile.pipeline import preview_source
from groundplane.errors import CatalogError
from tests.catalogs import SITE, write

SHOP = """\
  tenants:
  - name: shop
    paths: [teams/shop]
    namespaces: [shop, shop-*]
    nodes: [n1]
    cidrs: [192.0.2.64/26, 10.96.0.32/28, 10.244.2.0/30]
    loadBalancerPools: [shop]
    nodePorts: [31000-31009]
    hostPorts: [8443, 9000-9009]
    externalNames: ["*.example.com"]
  - name: everybody
    paths: [teams]
  loadBalancerPools:
  - {name: shop, cidrs: [203.0.113.0/28]}
  - {name: office, cidrs: [203.0.113.16/28]}
  externalIPCIDRs: [192.0.2.64/26]
  probes: {foreignHosts: true}
  endpoints:"""
NODES = """\
apiVersion: groundplane/v1
kind: Node
metadata: {name: n2}
spec: {addresses: [192.0.2.65], workloadSubnets: [10.244.2.0/24]}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: vault, namespace: bank}
spec: {node: n2, addresses: [10.244.2.9]}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: host, namespace: shop, labels: {on: host}}
spec: {node: n1, hostNetwork: true}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: %s, annotations: {%s}}
spec: {%s}
"""
WORKLOAD = """\
apiVersion: groundplane/v1
kind: Workload
metadata: {name: w, namespace: shop}
spec: {node: %s}
"""
SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: %d}]
endpoints: [{addresses: [%s]}]
"""


def told(source: Path, text: str, file: str = "teams/shop/web.yaml") -> list[str]:
    site = SITE.replace("  endpoints:", SHOP, 1)
    write(source, {"site.yaml": site, "nodes.yaml": NODES, file: text})
    try:
        preview_source(source)
    except CatalogError as error:
        return [each.removeprefix(f"site/{file}:1: ") for each in str(error).splitlines()]
    return []


def service(
    spec: str = "ports: [{port: 80}]", annotations: str = "", namespace: str = "shop"
) -> str:
    return SERVICE % (namespace, annotations, spec)


def balanced(more: str, annotations: str = "groundplane/load-balancer-pool: shop") -> str:
    return service(f"type: LoadBalancer, {more}ports: [{{port: 80}}]", annotations)


POOL = "groundplane/load-balancer-pool"
WITHOUT_NODE_PORTS = "allocateLoadBalancerNodePorts: false, "


@pytest.mark.parametrize(
    "text",
    [
        service(),
        service(namespace="shop-test"),
        service("clusterIP: 10.96.0.33, ports: [{port: 80}]"),
        service("externalIPs: [192.0.2.70], ports: [{port: 80}]"),
        service("type: ExternalName, externalName: db.example.com."),
        service("type: NodePort, ports: [{port: 80, nodePort: 31009}]"),
        service("selector: {on: host}, ports: [{port: 80, targetPort: 9000}]"),
        balanced(WITHOUT_NODE_PORTS),
        balanced(WITHOUT_NODE_PORTS + "loadBalancerIP: 203.0.113.2, "),
        balanced(WITHOUT_NODE_PORTS + "loadBalancerIP: 192.0.2.70, ", ""),
        balanced(WITHOUT_NODE_PORTS + "externalTrafficPolicy: Local, healthCheckNodePort: 31002, "),
        WORKLOAD % "n1",
        WORKLOAD % "n1, hostNetwork: true, ports: [{port: 8443}]",
        WORKLOAD % "n1, readinessProbe: {tcpSocket: {port: 1, host: 192.0.2.70}}",
        WORKLOAD % "n1, hostNetwork: true, readinessProbe: {tcpSocket: {port: 9001}}",
        SLICE % (80, "192.0.2.70"),
        SLICE % (8443, "192.0.2.65"),  # a node
        SLICE % (8443, "10.244.2.1"),  # its bridge
    ],
)
def test_what_a_tenant_may_say_is_accepted(source: Path, text: str) -> None:
    assert [] == told(source, text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            service(namespace="bank"),
            'use the namespace "bank"; its namespaces: shop, shop-*',
        ),
        (
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
            "have a Namespace; its kinds: Service, Workload, EndpointSlice, Endpoints",
        ),
        (
            (
                "apiVersion: groundplane/v1\nkind: Node\nmetadata: {name: n3}\n"
                "spec: {addresses: [192.0.2.3]}\n"
            ),
            "have a Node; its kinds: Service, Workload, EndpointSlice, Endpoints",
        ),
        (
            service("clusterIP: 10.96.0.10, ports: [{port: 53}]"),  # the DNS service's
            "fix the address 10.96.0.10; its cidrs: 192.0.2.64/26, 10.96.0.32/28, 10.244.2.0/30",
        ),
        (
            service("externalIPs: [203.0.113.2], ports: [{port: 80}]"),
            "fix the address 203.0.113.2; its cidrs: 192.0.2.64/26, 10.96.0.32/28, 10.244.2.0/30",
        ),
        (
            service("type: ExternalName, externalName: example.com"),
            "be an alias of example.com; its externalNames: *.example.com",
        ),
        (
            service("type: NodePort, ports: [{port: 80, nodePort: 31010}]"),
            "have the node port 31010; its nodePorts: 31000-31009",
        ),
        (
            service("type: NodePort, ports: [{port: 80}]"),
            "have any node port: fix one; its nodePorts: 31000-31009",
        ),
        (
            balanced(""),
            (
                "have any node port: fix one, or write allocateLoadBalancerNodePorts: false; "
                "its nodePorts: 31000-31009"
            ),
        ),
        (
            balanced(WITHOUT_NODE_PORTS, ""),
            (
                f"take an address of any pool: the annotation {POOL} names one; "
                "its loadBalancerPools: shop"
            ),
        ),
        (
            balanced(WITHOUT_NODE_PORTS, f"{POOL}: office"),
            'take an address of the pool "office"; its loadBalancerPools: shop',
        ),
        (
            balanced(WITHOUT_NODE_PORTS + "loadBalancerIP: 203.0.113.20, ", ""),
            "fix the address 203.0.113.20; its loadBalancerPools: shop",
        ),
        (
            service("selector: {on: host}, ports: [{port: 80, targetPort: 22}]"),
            "lead to port 22 of nodes; its hostPorts: 8443, 9000-9009",
        ),
        (WORKLOAD % "n2", "use Node/n2; its nodes: n1"),
        (
            WORKLOAD % "n1, addresses: [10.244.0.9]",
            "fix the address 10.244.0.9; its cidrs: 192.0.2.64/26, 10.96.0.32/28, 10.244.2.0/30",
        ),
        (
            WORKLOAD % "n1, hostNetwork: true, ports: [{port: 22}]",
            "open port 22 of nodes; its hostPorts: 8443, 9000-9009",
        ),
        (
            WORKLOAD % "n1, hostNetwork: true, readinessProbe: {tcpSocket: {port: 22}}",
            "have nodes ask port 22 of a node; its hostPorts: 8443, 9000-9009",
        ),
        (
            WORKLOAD % "n1, readinessProbe: {tcpSocket: {port: 1, host: 192.0.2.9}}",
            "have nodes ask 192.0.2.9; its cidrs: 192.0.2.64/26, 10.96.0.32/28, 10.244.2.0/30",
        ),
        (
            WORKLOAD % "n1, readinessProbe: {exec: {command: [id]}}",
            "run commands on nodes; its execProbes: false",
        ),
        (
            SLICE % (80, "192.0.2.9"),
            (
                "lead to 192.0.2.9, which is not one of its workloads; "
                "its cidrs: 192.0.2.64/26, 10.96.0.32/28, 10.244.2.0/30"
            ),
        ),
        (
            SLICE % (80, "10.244.2.9"),  # of the namespace bank
            (
                "lead to 10.244.2.9, which is not one of its workloads; "
                "its cidrs: 192.0.2.64/26, 10.96.0.32/28, 10.244.2.0/30"
            ),
        ),
        (
            SLICE % (22, "192.0.2.65"),
            "lead to port 22 of Node/n2; its hostPorts: 8443, 9000-9009",
        ),
        (
            SLICE % (22, "10.244.2.1"),
            "lead to port 22 of Node/n2; its hostPorts: 8443, 9000-9009",
        ),
    ],
)
def test_everything_else_is_refused(source: Path, text: str, fault: str) -> None:
    (found,) = told(source, text)
    assert f': tenant "shop" may not {fault}' in found


def test_only_a_tenant_with_host_ports_uses_the_nodes_network(source: Path) -> None:
    text = WORKLOAD % "n1, hostNetwork: true"
    found = told(source, text, "teams/other.yaml")
    assert "Workload/shop/w: spec.hostNetwork: tenant" in found[1]
    assert '"everybody" may not use nodes\' network; its hostPorts: none' in found[1]


def test_of_several_paths_the_longest_counts(source: Path) -> None:
    assert [] == told(source, service(), "teams/shop/deep/web.yaml")
    assert [] != told(source, service(), "teams/web.yaml")
    assert [] != told(source, service(), "teams/shops/web.yaml")


def test_what_lies_in_no_tenants_path_may_say_everything(source: Path) -> None:
    assert [] == told(source, service(namespace="bank"), "bank.yaml")
    assert [] == told(source, SLICE % (22, "192.0.2.65"), "team.yaml")


def test_endpoints_are_judged_as_slices_are(source: Path) -> None:
    text = (
        "apiVersion: v1\nkind: Endpoints\nmetadata: {name: db, namespace: shop}\n"
        "subsets: [{addresses: [{ip: 192.0.2.9}], ports: [{port: 22}]}]\n---\n"
        + service().replace("name: web", "name: db")
    )
    (found,) = told(source, text)
    assert "Endpoints/shop/db: subsets[0].addresses[0].ip: tenant" in found


def test_all_pools_and_all_node_ports_need_no_word_of_the_document(source: Path) -> None:
    site = (
        SITE.replace("  endpoints:", SHOP, 1)
        .replace("loadBalancerPools: [shop]", "loadBalancerPools: [shop, office]")
        .replace("nodePorts: [31000-31009]", "nodePorts: [30500-32767, 30000-30499]")
    )
    text = balanced("externalTrafficPolicy: Local, ", "")
    write(source, {"site.yaml": site, "nodes.yaml": NODES, "teams/shop/web.yaml": text})
    preview_source(source)

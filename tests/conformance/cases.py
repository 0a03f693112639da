"""What packets have to come to, as data: for every proxy dataplane alike. The site is site.yaml.

A place is a workload (a, b on n1; c on n2), a node (n1, n2), or an outside client: `near` reaches
the site's addresses by n1, `far` by n2. A destination is

    web             the cluster IP of the service
    web/external    its external IP
    web/balanced    its load-balancer address
    web@n1          its node port, on the address of n1
    10.96.0.99 | fd00:96::99    an address, one of each family

Every case is run for both families and for TCP and UDP.
"""

from typing import Final, NamedTuple

KEPT, MASQUERADED = "source kept", "masqueraded"
REFUSED, DROPPED = "refused", "dropped"
BOTH: Final = ("IPv4", "IPv6")


class Case(NamedTuple):
    """From *client* to *destination*: each of *expected* answers, or it fails so.

    *source* is what the answering side sees as the client, "" where that is of no matter: a node
    that is its own client has several addresses, and nothing leaves where a node is the endpoint.
    """

    client: str
    destination: str
    expected: tuple[str, ...] | str
    source: str = ""
    port: int = 0  # instead of the service's
    families: tuple[str, ...] = BOTH


ALL = ("a", "b", "c")
A, B, C = ("a",), ("b",), ("c",)
NODES = ("n1", "n2")
UNUSED = "10.96.0.99 | fd00:96::99"
PLACES = ("a", "b", "c", "n1", "n2", "near", "far")


def every(clients: tuple[str, ...], destination: str, *rest: object, **more: object) -> list[Case]:
    return [Case(client, destination, *rest, **more) for client in clients]  # type: ignore[arg-type]


CASES: Final = [
    # cluster IPs, from workloads: every endpoint, with the workload's own address
    *every(("a", "b", "c"), "host", NODES, KEPT),
    Case("a", "far", C, KEPT),
    Case("b", "self", A, KEPT),  # the same bridge: translated back, kubernetes#38802
    Case("c", "self", A, KEPT),
    Case("b", "far", C, KEPT),
    *every(ALL, "web", ALL),
    # a workload that reaches itself
    Case("a", "self", A, MASQUERADED),
    Case("c", "far", C, MASQUERADED),
    # from nodes and from outside
    *every(("n1", "n2", "near", "far"), "web", ALL, MASQUERADED),
    *every(("n1", "n2", "near", "far"), "self", A, MASQUERADED),
    *every(("n1", "n2", "near", "far"), "far", C, MASQUERADED),
    *every(("n1", "n2", "near", "far"), "host", NODES),
    # one family
    *every(("a", "n2", "near"), "ipv4", A, families=("IPv4",)),
    *every(("a", "n2", "near"), "ipv6", C, families=("IPv6",)),
    # ready, draining and off; weights
    *every(("a", "n1", "far"), "draining", ("n2",)),
    *every(("a", "c", "n2", "near"), "mixed", ("n1",)),
    *every(("a", "c", "n1", "far"), "weighted", ("n2",)),
    *every(("a", "c", "n1", "far"), "idle", NODES),
    *every(("b", "c", "n2", "near"), "unready", REFUSED),
    *every(("b", "c", "n2", "near"), "unready-published", A),
    # endpoints that are no workloads: what leaves the site is masqueraded
    Case("a", "outside", ("outside",), MASQUERADED),
    Case("c", "outside", ("outside",), MASQUERADED),
    Case("n2", "outside", ("outside",)),
    Case("far", "outside", ("outside",), MASQUERADED),
    # nobody there
    *every(PLACES, "empty", REFUSED),
    *every(PLACES, "inside-empty", REFUSED),
    # a port that the service does not have; ssh listens on every address of every node
    *every(PLACES, "web", REFUSED, port=22),
    *every(PLACES, "empty", REFUSED, port=22),
    *every(("a", "c", "n1", "n2", "near", "far"), "external/external", REFUSED, port=22),
    *every(("a", "c", "n1", "n2", "near", "far"), "balanced/balanced", REFUSED, port=22),
    *every(("a", "n1", "far"), "ranged/balanced", REFUSED, port=22),
    # an address that no service has
    *every(PLACES, UNUSED, DROPPED),
    *every(PLACES, UNUSED, DROPPED, port=22),
    # node ports: Cluster
    *every(("near", "far"), "port@n1", ALL, MASQUERADED),
    *every(("near", "far"), "port@n2", ALL, MASQUERADED),
    *every(("a", "c"), "port@n1", ALL, MASQUERADED),
    *every(("a", "c"), "port@n2", ALL, MASQUERADED),
    *every(("n1", "n2"), "port@n1", ALL, MASQUERADED),
    *every(("n1", "n2"), "port@n2", ALL, MASQUERADED),
    # node ports: Local. Another node is an outside client; a workload and the node itself are not
    Case("near", "port-near@n1", A, KEPT),
    Case("far", "port-near@n1", A, KEPT),
    Case("n2", "port-near@n1", A, KEPT),
    Case("near", "port-near@n2", DROPPED),
    Case("n1", "port-near@n2", DROPPED),
    Case("far", "port-far@n2", C, KEPT),
    Case("far", "port-far@n1", DROPPED),
    Case("n1", "port-far@n1", C, MASQUERADED),
    Case("n2", "port-near@n2", A, MASQUERADED),
    Case("a", "port-far@n1", C, KEPT),
    Case("b", "port-near@n1", A, KEPT),
    Case("a", "port-near@n1", A, MASQUERADED),  # itself
    Case("c", "port-near@n2", A, KEPT),
    # a workload asks another node: Cluster, and the answer has to come back that way
    Case("a", "port-near@n2", A, MASQUERADED),
    Case("b", "port-far@n2", C, MASQUERADED),
    Case("c", "port-near@n1", A, MASQUERADED),
    Case("near", "port-host@n1", ("n1",), KEPT),
    Case("near", "port-host@n2", ("n2",), KEPT),
    Case("n2", "port-host@n1", ("n1",), KEPT),
    *every(("near", "a", "n1"), "port-empty@n1", REFUSED),
    *every(("far", "c", "n2"), "port-empty@n2", REFUSED),
    # a node port is that of the node's own address alone
    Case("n1", "127.0.0.1 | ::1", REFUSED, port=30080),
    Case("a", "10.244.1.1 | fd00:244:0:1::1", REFUSED, port=30080),
    # load-balancer addresses
    *every(("near", "far", "n1", "n2", "a", "c"), "balanced/balanced", ALL, MASQUERADED),
    Case("near", "balanced-near/balanced", A, KEPT),
    Case("far", "balanced-near/balanced", DROPPED),
    Case("far", "balanced-far/balanced", C, KEPT),
    Case("near", "balanced-far/balanced", DROPPED),
    Case("n1", "balanced-far/balanced", C, MASQUERADED),
    Case("n2", "balanced-near/balanced", A, MASQUERADED),
    Case("a", "balanced-far/balanced", C, KEPT),
    Case("c", "balanced-near/balanced", A, KEPT),
    Case("a", "balanced-near/balanced", A, MASQUERADED),  # itself
    Case("near", "balanced-far", C, MASQUERADED),  # its cluster IP: another policy
    # loadBalancerSourceRanges: of the load-balancer address alone
    Case("near", "ranged/balanced", A, MASQUERADED),
    Case("far", "ranged/balanced", DROPPED),
    Case("n1", "ranged/balanced", DROPPED),
    Case("a", "ranged/balanced", DROPPED),
    Case("c", "ranged/balanced", A, MASQUERADED),
    *every(("far", "n2"), "ranged", A, MASQUERADED),
    Case("a", "ranged", A, MASQUERADED),
    *every(("far", "n1", "a"), "ranged@n1", A, MASQUERADED),
    *every(("near", "far", "n2", "c"), "ranged-open/balanced", A, MASQUERADED),
    Case("far", "ranged-far/balanced", C, KEPT),
    Case("near", "ranged-far/balanced", DROPPED),
    Case("n1", "ranged-far/balanced", C, MASQUERADED),
    Case("a", "ranged-far/balanced", DROPPED),
    # external IPs
    *every(("near", "far", "n1", "n2", "a", "c"), "external/external", ALL, MASQUERADED),
    Case("near", "external-near/external", A, KEPT),
    Case("far", "external-near/external", DROPPED),
    Case("far", "external-far/external", C, KEPT),
    Case("n1", "external-far/external", C, MASQUERADED),
    Case("a", "external-far/external", C, KEPT),
    *every(PLACES, "external-empty/external", REFUSED),
    # internalTrafficPolicy: Local, whoever sends it
    *every(("n1", "near"), "inside-near", A),
    Case("b", "inside-near", A, KEPT),
    Case("a", "inside-near", A, MASQUERADED),  # itself
    *every(("c", "n2", "far"), "inside-near", DROPPED),
    *every(("a", "b", "n1", "near"), "inside-far", DROPPED),
    *every(("c", "n2", "far"), "inside-far", C),
    *every(("a", "b", "n1", "near"), "inside-web", ("a", "b")),
    *every(("c", "n2", "far"), "inside-web", C),
    *every(("near", "far"), "inside-port@n1", ALL, MASQUERADED),
    *every(("a", "n1"), "inside-port", ("a", "b")),
    # trafficDistribution
    *every(("a", "n1", "near"), "zone", ("a", "b")),
    *every(("c", "n2", "far"), "zone", C),
    *every(("a", "n1"), "close", ("a", "b")),
    *every(("c", "n2"), "close", C),
    *every(("a", "n1", "near"), "node", ("n1",)),
    *every(("c", "n2", "far"), "node", ("n2",)),
    *every(("a", "n1", "near"), "node-far", C),
]

# Each client gets one of these, and always the same one.
STICKY: Final = [
    *(Case(client, "sticky", ALL) for client in PLACES),
    *(Case(client, "sticky-port@n1", ALL) for client in ("near", "far", "a", "n1")),
    Case("near", "sticky-near@n1", ("a", "b"), KEPT),
    Case("far", "sticky-near@n2", C, KEPT),
    Case("a", "sticky-near@n1", ALL),
    Case("n2", "sticky-near@n2", ALL, MASQUERADED),
    *(Case(client, "hashed", ALL) for client in PLACES),
]

# Of STICKY, by the proxy mode: who is inside and asks an address from outside whose policy is Local.
# IPVS has a virtual server of its own for them, which cannot keep them (docs/decisions/0024-ipvs.md).
NOT_KEPT: Final = {"ipvs": {("a", "sticky-near@n1"), ("n2", "sticky-near@n2")}}

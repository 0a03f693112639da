"""A small site, and edits of it by small numbers, so that a failing list of edits can be shortened."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from groundplane.allocate import LOCK_NAME, format_lock
from groundplane.compile.cache import CompileCache, open_cache
from groundplane.compile.pipeline import allocate_source, read_catalog
from groundplane.errors import GroundplaneError

Document = dict[str, Any]
Site = dict[str, list[Document]]  # the documents of each file

NAMESPACES = ("a", "a-b")


def document(kind: str, name: str, namespace: str = "", **more: Any) -> Document:
    ours = kind not in ("Service", "Namespace", "EndpointSlice", "Endpoints")
    api = "groundplane/v1" if ours else "discovery.k8s.io/v1" if kind == "EndpointSlice" else "v1"
    meta: Document = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api, "kind": kind, "metadata": meta, **more}


def service(number: int, namespace: str, **spec: Any) -> Document:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    wanted = {"selector": {"app": f"app-{number % 3}"}, "ports": ports, **spec}
    return document("Service", f"s{number}", namespace, spec=wanted)


def workload(number: int, namespace: str, **spec: Any) -> Document:
    ports = [{"name": "http", "port": 8080 + number % 2}]
    made = document("Workload", f"w{number}", namespace,
                    spec={"node": f"n{number % 2}", "ports": ports, **spec})  # fmt: skip
    made["metadata"]["labels"] = {"app": f"app-{number % 3}", "tier": f"t{number % 2}"}
    return made


def endpoint_slice(number: int, namespace: str) -> Document:
    made = document("EndpointSlice", f"e{number}", namespace, addressType="IPv4",
                    endpoints=[{"addresses": [f"192.0.2.{100 + number}"]}],
                    ports=[{"name": "http", "port": 80}])  # fmt: skip
    made["metadata"]["labels"] = {"kubernetes.io/service-name": f"s{number}"}
    return made


def dns_slice(number: int) -> Document:
    made = endpoint_slice(60 + number, "kube-system")
    made["metadata"]["labels"] = {"kubernetes.io/service-name": "kube-dns"}
    return made


def site() -> Site:
    cluster = document("Cluster", "test", spec={
        "serviceCIDRs": ["10.96.0.0/24"],
        "workloadCIDRs": [{"cidr": "10.244.0.0/16", "nodePrefix": 24}],
        "endpoints": {"outsideCIDRs": ["192.0.2.0/24"]},
        "externalIPCIDRs": ["203.0.113.0/28"],
        "nodePortRange": "30000-30031",
        "loadBalancerPools": [{"name": "pool", "cidrs": ["203.0.113.16/28"]}],
    })  # fmt: skip
    nodes = [document("Node", f"n{n}", spec={"addresses": [f"198.51.100.{n + 1}"]}) for n in (0, 1)]
    files: Site = {"cluster.yaml": [cluster, *nodes]}
    for number, namespace in enumerate(NAMESPACES):
        files[f"{namespace}.yaml"] = [
            *(service(each, namespace) for each in range(4)),
            service(4, namespace, selector={}),
            endpoint_slice(4, namespace),
        ]
        files[f"sub/w-{number}.yaml"] = [workload(each, namespace) for each in range(6)]
    return files


def write(files: Site, directory: Path) -> None:
    for path in directory.rglob("*.yaml"):
        path.unlink()
    for name, documents in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        text = "\n---\n".join(json.dumps(each) for each in documents)
        (directory / name).write_text("# JSON is YAML\n" + text)


def lock(directory: Path) -> None:
    """Write the lock, if the site can have one."""
    try:
        allocations, _ = allocate_source(directory, read_catalog(directory))
    except GroundplaneError:
        return
    (directory / LOCK_NAME).write_text(format_lock(allocations.lock))


def outcome(compile_: Callable[[], bytes]) -> bytes | str:
    try:
        return compile_()
    except GroundplaneError as error:
        return str(error)


class Edits:
    """Edits of a site by small numbers, so that a failing list of them can be shortened."""

    def __init__(self, files: Site, directory: Path) -> None:
        self.files, self.directory = files, directory

    def some(self, kind: str, at: int) -> Document | None:
        found = [each for _, each in self.all(kind)]
        return found[at % len(found)] if found else None

    def all(self, kind: str) -> list[tuple[str, Document]]:
        return [(name, each) for name, of in self.files.items() for each in of
                if each["kind"] == kind]  # fmt: skip

    def spec(self, kind: str, at: int, field: str, value: Any) -> None:
        if (found := self.some(kind, at)) is not None:
            if value is None:
                found["spec"].pop(field, None)
            else:
                found["spec"][field] = value

    def specs(self, kind: str, at: int, **fields: Any) -> None:
        for field, value in fields.items():
            self.spec(kind, at, field, value)

    def label(self, kind: str, at: int, key: str, value: str) -> None:
        if (found := self.some(kind, at)) is not None:
            found["metadata"].setdefault("labels", {})[key] = value

    def annotate(self, at: int, key: str, value: str) -> None:
        if (found := self.some("Service", at)) is not None:
            found["metadata"].setdefault("annotations", {})[key] = value

    def add(self, made: Document, at: int | None = None) -> None:
        files = [*self.files.values()]
        files[(len(made["metadata"]["name"]) if at is None else at) % len(files)].append(made)

    def remove(self, kind: str, at: int) -> None:
        found = self.all(kind)
        if found:
            name, which = found[at % len(found)]
            self.files[name].remove(which)

    def move(self, kind: str, at: int) -> None:
        if (found := self.some(kind, at)) is not None:
            self.remove(kind, at)
            self.files.setdefault("moved.yaml", []).append(found)

    def rename_file(self, at: int) -> None:
        name = [*self.files][at % len(self.files)]
        self.files[f"x-{name.replace('/', '-')}"] = self.files.pop(name)

    def fix_address(self, at: int, number: int) -> None:
        """Let a document fix an address in the subnet of the workload's node."""
        found = self.some("Workload", at)
        if found is None:
            return
        for line in (self.directory / LOCK_NAME).read_text().splitlines():
            if line.startswith(f"Node/{found['spec']['node']} "):
                subnet = line.partition(" ")[2].rpartition(".")[0]
                found["spec"]["addresses"] = [f"{subnet}.{number + 2}"]

    def edit_lock(self, change: Callable[[list[str]], object]) -> None:
        path = self.directory / LOCK_NAME
        lines = path.read_text().splitlines()
        change(lines)
        path.write_text("".join(f"{line}\n" for line in lines))


def ports(*numbers: int) -> list[Document]:
    return [{"name": f"p{n}", "port": 80 + n, "targetPort": "http"} for n in numbers]


def swap(lines: list[str], at: int, kind: str) -> None:
    """Give two objects each other's value."""
    of = [number for number, line in enumerate(lines) if line.startswith(kind)]
    if len(of) > 1:
        one, other = of[at % len(of)], of[(at + 1) % len(of)]
        (first, _, left), (second, _, right) = (lines[n].partition(" ") for n in (one, other))
        lines[one], lines[other] = f"{first} {right}", f"{second} {left}"


ODD_LINES = (
    "Service/a/s1",
    "Service/a/none",
    "Service//",
    "Service/a/none\t10.96.0.77",
    "Service/a/s1 10.96.0.10\x0c",
    "released/3",
    "released/3 10.96.0.9\x0c",
    "Workload/a/\xff 10.244.0.9",
    "",
)
OPERATIONS: dict[str, Callable[[Edits, int, int], object]] = {
    "a workload's port": lambda e, a, b: e.spec("Workload", a, "ports",
                                                [{"name": "http", "port": 9000 + b}]),
    "a workload's weight": lambda e, a, b: e.spec("Workload", a, "weight", b),
    "a workload's node": lambda e, a, b: e.spec("Workload", a, "node", f"n{b % 3}"),
    "a workload's state": lambda e, a, b: e.spec("Workload", a, "state",
                                                 ("active", "drain", "off")[b % 3]),
    "a workload's label": lambda e, a, b: e.label("Workload", a, "app", f"app-{b % 5}"),
    "a workload's address": lambda e, a, b: e.fix_address(a, b),
    "a host's workload": lambda e, a, b: e.spec("Workload", a, "hostNetwork", b % 2 == 0),
    "a workload's probe": lambda e, a, b: e.spec(
        "Workload", a, "readinessProbe",
        {"tcpSocket": {"port": "http"}, "periodSeconds": b + 1} if b % 3 else None),
    "a workload more": lambda e, a, b: e.add(workload(20 + a, NAMESPACES[b % 2])),
    "a unit's name again": lambda e, a, b: e.add(
        workload(b, "a") | {"metadata": {"name": f"b-w{b % 6}", "namespace": "a"}}),
    "a workload less": lambda e, a, b: e.remove("Workload", a),
    "a service's selector": lambda e, a, b: e.spec("Service", a, "selector", {"tier": f"t{b % 3}"}),
    "a service's ports": lambda e, a, b: e.spec("Service", a, "ports", ports(*range(b % 4))),
    "a service's label": lambda e, a, b: e.label("Service", a, "app", f"x{b}"),
    "a service's affinity": lambda e, a, b: e.spec("Service", a, "sessionAffinity",
                                                   ("None", "ClientIP")[b % 2]),
    "a service's timeout": lambda e, a, b: e.specs(
        "Service", a, sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10 + b % 3}}),
    "a balancer's ranges": lambda e, a, b: e.specs(
        "Service", a, type="LoadBalancer", loadBalancerSourceRanges=[f"192.0.{b}.0/24"]),
    "a service's type": lambda e, a, b: e.spec("Service", a, "type", (
        "ClusterIP", "NodePort", "LoadBalancer", "ExternalName")[b % 4]),
    "a headless service": lambda e, a, b: e.spec("Service", a, "clusterIP", ("None", None)[b % 2]),
    "a service's address": lambda e, a, b: e.spec("Service", a, "clusterIP", f"10.96.0.{b + 8}"),
    "an external address": lambda e, a, b: e.spec("Service", a, "externalIPs",
                                                  [f"203.0.113.{b % 3 + 1}"]),
    "an external name": lambda e, a, b: e.spec("Service", a, "externalName",
                                               f"s{b % 5}.a.svc.cluster.local"),
    "a service's policy": lambda e, a, b: e.spec("Service", a, "internalTrafficPolicy",
                                                 ("Cluster", "Local")[b % 2]),
    "a service's distribution": lambda e, a, b: e.spec("Service", a, "trafficDistribution",
                                                       ("PreferSameNode", None)[b % 2]),
    "consistent hashing": lambda e, a, b: e.annotate(a, "groundplane/load-balancing",
                                                     ("consistent-hash", "random")[b % 2]),
    "a service more": lambda e, a, b: e.add(service(20 + a, NAMESPACES[b % 2])),
    "a service less": lambda e, a, b: e.remove("Service", a),
    "a slice's service": lambda e, a, b: e.label("EndpointSlice", a, "kubernetes.io/service-name",
                                                 f"s{b % 6}"),
    "a slice more": lambda e, a, b: e.add(endpoint_slice(20 + a, NAMESPACES[b % 2])),
    "a slice of the DNS service": lambda e, a, b: e.add(dns_slice(a)),
    "a slice less": lambda e, a, b: e.remove("EndpointSlice", a),
    "Endpoints": lambda e, a, b: e.add(document(
        "Endpoints", f"s{a % 5}", NAMESPACES[b % 2],
        subsets=[{"addresses": [{"ip": "192.0.2.9"}], "ports": [{"name": "http", "port": 80}]}])),
    "a namespace's label": lambda e, a, b: e.label("Namespace", a, "team", f"t{b}"),
    "a namespace less": lambda e, a, b: e.remove("Namespace", a),
    "a namespace": lambda e, a, b: e.add(document("Namespace", NAMESPACES[a % 2]), b),
    "a node's zone": lambda e, a, b: e.label("Node", a, "topology.kubernetes.io/zone", f"z{b % 2}"),
    "a node's state": lambda e, a, b: e.spec("Node", a, "state", ("active", "drain")[b % 2]),
    "a node more": lambda e, a, b: e.add(document(
        "Node", f"n{2 + a % 2}", spec={"addresses": [f"198.51.100.{9 + a % 2}"]})),
    "the domain": lambda e, a, b: e.spec("Cluster", 0, "clusterDomain", f"site-{a % 2}.local"),
    "the service range": lambda e, a, b: e.spec("Cluster", 0, "serviceCIDRs",
                                                [f"10.96.{a % 2}.0/24"]),
    "a document moved": lambda e, a, b: e.move(("Service", "Workload")[b % 2], a),
    "a file renamed": lambda e, a, b: e.rename_file(a),
    "the lock": lambda e, a, b: None,
    "addresses swapped": lambda e, a, b: e.edit_lock(
        lambda lines: swap(lines, a, ("Service/", "Workload/", "Node/")[b % 3])),
    "a line of the lock less": lambda e, a, b: e.edit_lock(
        lambda lines: lines.pop(a % len(lines))),
    "a line of the lock twice": lambda e, a, b: e.edit_lock(
        lambda lines: lines.append(lines[a % len(lines)])),
    "a line of the lock more": lambda e, a, b: e.edit_lock(
        lambda lines: lines.append(f"Workload/a/w{a + 3} 10.244.0.{b + 60}")),
    "an odd line of the lock": lambda e, a, b: e.edit_lock(
        lambda lines: lines.append(ODD_LINES[a % len(ODD_LINES)])),
    "an odd end of a line": lambda e, a, b: e.edit_lock(
        lambda lines: lines.append(lines.pop(a % len(lines)) + ("\r", "\x0c", " ")[b % 3])),
    "a foreign address annotation": lambda e, a, b: e.annotate(
        a, "metallb.io/loadBalancerIPs", f"203.0.113.{b % 3 + 1}"),
    "IPVS forwarding": lambda e, a, b: e.annotate(a, "groundplane/ipvs-forwarding", "tunnel"),
    "a released address": lambda e, a, b: e.edit_lock(
        lambda lines: lines.append(f"released/{a + 1} 10.96.0.{b + 8}")),
    "lines of the lock turned": lambda e, a, b: e.edit_lock(lambda lines: lines.reverse()),
}  # fmt: skip

EDITS = st.lists(
    st.tuples(
        st.sampled_from([*OPERATIONS]), st.integers(0, 12), st.integers(0, 12), st.booleans()
    ),
    min_size=1,
    max_size=5,
)


def ours(directory: Path) -> CompileCache:
    opened = open_cache(directory / "cache", directory / "state" / "key")
    assert opened is not None
    return opened


def small_site(root: Path) -> Path:
    """Write the site and its lock into a new directory below *root*, and return it."""
    directory = root / "site"
    directory.mkdir()
    write(site(), directory)
    lock(directory)
    return directory

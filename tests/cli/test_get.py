"""`groundplane get`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.run import LOCK, SITE, Command, Done

TABLES = {
    "services": """\
NAME   TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)   ENDPOINTS
web    ClusterIP   10.96.0.5    <none>        80/TCP    1/2
""",
    "endpoints": """\
NAME   ENDPOINTS
web    10.244.1.10:8080
""",
    "workloads": """\
NAME   STATE    NODE   ADDRESS                        PORT(S)
a      active   n1     10.244.1.10,fd00:244:0:1::10   http:8080/TCP
b      drain    n1     192.0.2.1,2001:db8::1          <none>
""",
    "nodes": """\
NAME   ZONE   ADDRESS                 SUBNET                            WORKLOADS
n1     east   192.0.2.1,2001:db8::1   10.244.1.0/24,fd00:244:0:1::/64   2
""",
}
WIDE = {
    "services": ("SELECTOR", "app=web"),
    "endpoints": ("NOT COUNTED", "b: draining"),
    "workloads": ("LABELS", "app=web"),
    "nodes": ("LABELS", "topology.kubernetes.io/zone=east"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_the_data_alone(groundplane: Command, site: Path, kind: str) -> None:
    assert Done(0, TABLES[kind], "") == groundplane("get", kind, "./site")


@pytest.mark.parametrize("kind", WIDE)
def test_wide_shows_one_column_more(groundplane: Command, site: Path, kind: str) -> None:
    heading, cell = WIDE[kind]
    first, second, *_ = groundplane("get", kind, "-o", "wide", "./site").out.splitlines()
    assert first.endswith(f"   {heading}")
    assert second.endswith(f"   {cell}")


@pytest.mark.parametrize(
    ("short", "kind"),
    [("svc", "services"), ("service", "services"), ("ep", "endpoints"), ("endpoint", "endpoints"),
     ("wl", "workloads"), ("workload", "workloads"), ("no", "nodes"), ("node", "nodes")],
)  # fmt: skip
def test_kinds_have_short_names(groundplane: Command, site: Path, short: str, kind: str) -> None:
    assert TABLES[kind] == groundplane("get", short, "./site").out


def documents(done: Done, output: str) -> Any:
    assert (0, "") == (done.status, done.err)
    return json.loads(done.out) if output == "json" else yaml.safe_load(done.out)


@pytest.mark.parametrize("output", ["json", "yaml"])
@pytest.mark.parametrize("kind", TABLES)
def test_machines_get_a_list_or_the_one_that_is_named(
    groundplane: Command, site: Path, kind: str, output: str
) -> None:
    listed = documents(groundplane("get", kind, "-o", output, "./site"), output)
    assert ("v1", "List") == (listed["apiVersion"], listed["kind"])
    first = listed["items"][0]
    name = first["metadata"]["name"]
    assert first == documents(groundplane("get", kind, name, "-o", output, "./site"), output)
    assert {"apiVersion", "kind", "metadata"} <= first.keys()


def test_a_service_is_shown_with_its_addresses_as_kubernetes_does(
    groundplane: Command, site: Path
) -> None:
    shown = documents(groundplane("get", "svc", "web", "-o", "json", "./site"), "json")
    assert ("v1", "Service", "default") == (
        shown["apiVersion"],
        shown["kind"],
        shown["metadata"]["namespace"],
    )
    assert {
        "clusterIP": "10.96.0.5",
        "clusterIPs": ["10.96.0.5"],
        "ipFamilies": ["IPv4"],
        "type": "ClusterIP",
        "selector": {"app": "web"},
        "ports": [{"port": 80, "name": "http", "targetPort": "http", "protocol": "TCP"}],
    } == shown["spec"]


def test_endpoints_carry_their_reason(groundplane: Command, site: Path) -> None:
    shown = documents(groundplane("get", "ep", "web", "-o", "yaml", "./site"), "yaml")
    assert [("a", True, "ready"), ("b", False, "draining")] == [
        (each["workload"], each["counts"], each["reason"]) for each in shown["endpoints"]
    ]


def test_namespaces(groundplane: Command, site: Path) -> None:
    headless = (
        "NAME   TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)    ENDPOINTS\n"
        "db     ClusterIP   None         <none>        5432/TCP   0/0\n"
    )
    assert headless == groundplane("get", "svc", "-n", "orders", "./site").out
    every = groundplane("get", "svc", "-A", "./site").out.splitlines()
    assert ["NAMESPACE", "default", "orders"] == [line.split()[0] for line in every]


@pytest.mark.parametrize("kind", ["services", "endpoints", "workloads"])
def test_nothing_found_is_said_where_it_disturbs_no_pipe(
    groundplane: Command, site: Path, kind: str
) -> None:
    expected = Done(0, "", f'No {kind} found in namespace "none".\n')
    assert expected == groundplane("get", kind, "-n", "none", "./site")
    listed = groundplane("get", kind, "-n", "none", "-o", "json", "./site")
    assert [] == json.loads(listed.out)["items"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["svc", "wbe"], 'error: no service "wbe" in namespace "default"; did you mean "web"?\n'),
        (["nodes", "n11"], 'error: no node "n11"; did you mean "n1"?\n'),
        (["wl", "a", "-n", "orders"], 'error: no workload "a" in namespace "orders"'),
    ],
)
def test_a_name_that_is_not_there_is_an_error(
    groundplane: Command, site: Path, arguments: list[str], expected: str
) -> None:
    done = groundplane("get", *arguments, "./site")
    assert (1, "") == (done.status, done.out)
    assert done.err.startswith(expected)


@pytest.mark.parametrize("arguments", [[], ["."], ["web"], ["web", "."], [".", "web"], ["../site"]])
def test_the_source_is_the_current_directory_or_an_argument(
    groundplane: Command, site: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(site)
    assert TABLES["services"] == groundplane("get", "services", *arguments).out


def test_two_dots_are_a_source_too(
    groundplane: Command, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "below").mkdir()
    monkeypatch.chdir(site / "below")
    assert TABLES["services"] == groundplane("get", "services", "..").out


def test_the_source_may_come_from_the_environment(
    groundplane: Command, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDPLANE_SOURCE", "site")
    assert TABLES["services"] == groundplane("get", "services", "web").out


def test_health_decides_what_counts(groundplane: Command, site: Path) -> None:
    Path("health.yaml").write_text("default/a: false\ndefault/b: true\n")
    done = groundplane("get", "ep", "-o", "wide", "--health", "health.yaml", "./site")
    told = "a: its readiness probe fails, b: it has no target for port http"
    assert f"web    <none>      {told}" == done.out.splitlines()[1]
    states = groundplane("get", "wl", "a", "--health", "health.yaml", "./site").out
    assert "failing" in states


def test_a_lock_that_is_not_up_to_date_is_a_note(groundplane: Command, site: Path) -> None:
    (site / "addresses.lock").unlink()
    done = groundplane("get", "services", "./site")
    assert (0, TABLES["services"]) == (done.status, done.out)
    assert done.err.startswith("note: addresses.lock is not up to date: ")


def test_more_than_six_endpoints_are_counted(groundplane: Command, site: Path) -> None:
    many = "".join(
        "---\napiVersion: groundplane/v1\nkind: Workload\n"
        f"metadata: {{name: w{n}, labels: {{app: web}}}}\n"
        f"spec: {{node: n1, addresses: [10.244.1.{20 + n}], ports: [{{name: http, port: 80}}]}}\n"
        for n in range(8)
    )
    (site / "more.yaml").write_text(many)
    assert " + 3 more..." in groundplane("get", "ep", "./site").out


def test_what_it_prints_as_yaml_loads_again(groundplane: Command, site: Path) -> None:
    """As a catalog that gives everything the same addresses; endpoints are skipped."""
    again = Path("again")
    again.mkdir()
    cluster = SITE.partition("---\n")[0]
    (again / "cluster.yaml").write_text(cluster)
    for kind in ("services", "workloads", "nodes", "endpoints"):
        printed = groundplane("get", kind, "-A", "-o", "yaml", "./site").out
        (again / f"{kind}.yaml").write_text(printed)
    done = groundplane("check", "--strict", "--allow-skipped", "again")
    assert "groundplane/v1 Endpoints documents skipped" in done.out
    assert LOCK.splitlines()[1:] == [
        line.removeprefix("+ ") for line in groundplane("allocate", "again").out.splitlines()
    ]

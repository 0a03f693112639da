"""`groundplane describe`: every endpoint, whether it counts, and why."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.run import SITE, Command, Done

WEB = """\
Name:                    web
Namespace:               default
Labels:                  <none>
Written at:              site/site.yaml:24
Selector:                app=web
DNS:                     web.default.svc.cluster.local
Type:                    ClusterIP
IP Families:             IPv4
IPs:                     10.96.0.5
Port:                    http  80/TCP
TargetPort:              http/TCP
Session Affinity:        None
Internal Traffic Policy: Cluster
Endpoints:
  + a  10.244.1.10  ports 8080  node n1  (ready)
  - b  192.0.2.1  ports -  node n1  (draining)
"""
HOST, IP = "192.0.2.1  ports -  node n1", "clusterIP: 10.96.0.5"


def described(groundplane: Command, *arguments: str) -> list[str]:
    done = groundplane("describe", "service", *arguments, "./site")
    assert (0, "") == (done.status, done.err)
    return done.out.partition("Endpoints:\n")[2].splitlines()


def test_a_service_with_everything_about_it(groundplane: Command, site: Path) -> None:
    assert Done(0, WEB, "") == groundplane("describe", "service", "web", "./site")


def test_an_item_of_a_list_is_written_at_its_own_line(groundplane: Command, site: Path) -> None:
    items = (
        "- {apiVersion: v1, kind: Service, metadata: {name: NAME}, spec: {ports: [{port: 80}]}}\n"
    )
    text = "kind: List\nitems:\n" + items.replace("NAME", "one") + items.replace("NAME", "two")
    (site / "list.yaml").write_text(text)
    done = groundplane("describe", "service", "two", "./site")
    assert "Written at:              site/list.yaml:4\n" in done.out


@pytest.mark.parametrize(
    ("annotation", "scheduler"),
    [("", "wlc"), ("groundplane/ipvs-scheduler: 'sh,sh-port'", "sh,sh-port"),
     ("groundplane/load-balancing: consistent-hash", "mh")],
)  # fmt: skip
def test_where_ipvs_balances_its_scheduler_is_shown(
    groundplane: Command, site: Path, annotation: str, scheduler: str
) -> None:
    text = SITE.replace("spec:\n", "spec:\n  proxyMode: ipvs\n  ipvs: {scheduler: wlc}\n", 1)
    text = text.replace("{name: web}", f"{{name: web, annotations: {{{annotation}}}}}", 1)
    (site / "site.yaml").write_text(text)
    done = groundplane("describe", "service", "web", "./site")
    shown = dict(line.split(":", 1) for line in done.out.splitlines() if ":" in line)
    assert scheduler == shown["IPVS Scheduler"].strip()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("state: drain", "state: off", "- b  -  ports -  node n1  (its state is off)"),
        ("state: drain", "ports: []", f"- b  {HOST}  (it has no target for port http)"),
        ("name: http, port: 80, targetPort: http", "port: 80",
         "- b  192.0.2.1  ports 80  node n1  (draining)"),
        ("targetPort: http}]", "targetPort: 80}, {name: more, port: 81, targetPort: http}]",
         "+ a  10.244.1.10  ports 80,8080  node n1  (ready)"),
        (IP, f"publishNotReadyAddresses: true, {IP}",
         "+ a  10.244.1.10  ports 8080  node n1  (ready, as publishNotReadyAddresses says)"),
        (IP, f"publishNotReadyAddresses: true, {IP}", f"- b  {HOST}  (it has no target for port http)"),
    ],
)  # fmt: skip
def test_each_endpoint_has_its_reason(
    groundplane: Command, site: Path, old: str, new: str, expected: str
) -> None:
    (site / "site.yaml").write_text(SITE.replace(old, new, 1))
    groundplane("allocate", "site")
    assert f"  {expected}" in described(groundplane, "web")


def test_health_is_a_reason(groundplane: Command, site: Path) -> None:
    Path("health").write_text("default/a: false\ndefault/b: false\n")
    assert [
        "  - a  10.244.1.10  ports 8080  node n1  (its readiness probe fails)",
        "  - b  192.0.2.1  ports -  node n1  (its readiness probe fails)",
        "  No endpoint counts: connections are refused at once.",
    ] == described(groundplane, "web", "--health", "health")


def test_endpoints_that_are_kept_say_why(groundplane: Command, site: Path) -> None:
    kept = "annotations: {groundplane/keep-last-endpoints: 'true'}"
    text = (site / "site.yaml").read_text()
    (site / "site.yaml").write_text(text.replace("{name: web}", f"{{name: web, {kept}}}"))
    Path("health").write_text("default/a: false\ndefault/b: false\n")
    why = "its readiness probe fails, as all do: the last endpoints are kept"
    first, *_ = described(groundplane, "web", "--health", "health")
    assert first.startswith("  + a  10.244.1.10  ports 8080  node n1")
    assert why in first


def test_a_service_that_selects_nothing_says_what_is_near(groundplane: Command, site: Path) -> None:
    first, last = described(groundplane, "db", "-n", "orders")
    assert first.startswith("  <none>")
    assert last.startswith("  No endpoint counts")


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_machines_get_the_service_with_its_endpoints(
    groundplane: Command, site: Path, output: str
) -> None:
    done = groundplane("describe", "svc", "web", "-o", output, "./site")
    shown = json.loads(done.out) if output == "json" else yaml.safe_load(done.out)
    assert ("Service", ["ready", "draining"]) == (
        shown["kind"],
        [each["reason"] for each in shown["endpoints"]],
    )


def test_an_unknown_service_is_an_error_with_the_nearest_name(
    groundplane: Command, site: Path
) -> None:
    expected = 'error: no service "wbe" in namespace "default"; did you mean "web"?\n'
    assert Done(1, "", expected) == groundplane("describe", "service", "wbe", "./site")


def test_the_sites_own_dns_service_is_shown_as_if_it_were_written(
    groundplane: Command, site: Path
) -> None:
    text = (site / "site.yaml").read_text().replace("  dns: {clusterIPs: []}\n", "")
    (site / "site.yaml").write_text(text)
    done = groundplane("describe", "service", "kube-dns", "-n", "kube-system", "./site")
    assert (0, "") == (done.status, done.err)
    lines = [line.partition(":")[2].strip() for line in done.out.splitlines()]
    assert ["site/site.yaml:1", "10.96.0.10,fd00:96::a", "dns  53/UDP", "Local"] == [
        line for line in lines if line in {"site/site.yaml:1", "10.96.0.10,fd00:96::a",
                                           "dns  53/UDP", "Local"}
    ]  # fmt: skip
    assert done.out.endswith(
        "+ <name server>  10.244.1.1,fd00:244:0:1::1  ports 53,53  node n1  (ready)\n"
    )

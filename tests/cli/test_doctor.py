"""`groundplane doctor`."""

import importlib
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from groundplane.agent.store import save_site
from groundplane.compile.pipeline import compile_source
from groundplane.doctor import AddressFact, Facts
from groundplane.site.encoding import encode
from tests.catalogs import write
from tests.cli.run import FILES, Command, Done
from tests.rulesets import tables_of
from tests.states import BASE

TABLES = tuple({"table": {"family": table.family, "name": table.name}} for table in tables_of(BASE))
GOOD = Facts(
    interfaces={"groundplane0": True},
    addresses=(
        AddressFact("uplink", "192.0.2.1", 24),
        AddressFact("groundplane0", "10.244.1.1", 24),
        AddressFact("groundplane0", "fd00:244:0:1::1", 64),
    ),
    ruleset=TABLES,
)
REDIRECTS = {"net/ipv4/conf/all/send_redirects": "1"}
BAD = replace(GOOD, sysctls={"net/ipv4/ip_forward": "0", **REDIRECTS})
TOLD = """\
error: sysctl net.ipv4.ip_forward
  IPv4 packets are not forwarded: no workload reaches anything but its node.
  Run `sysctl -w net.ipv4.ip_forward=1`, and keep it in a file of /etc/sysctl.d.
"""


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> list[Facts]:
    """Return a list whose last element is what there is on the node."""
    there = [GOOD]
    monkeypatch.delenv("GROUNDPLANE_NODE", raising=False)
    monkeypatch.setattr("groundplane.doctor.gather", lambda: there[-1])
    return there


def test_a_node_with_nothing_in_the_way_is_0(
    groundplane: Command, site: Path, facts: list[Facts]
) -> None:
    expected = Done(0, "Node/n1: nothing is in the way\n", "")
    assert expected == groundplane("doctor", "site")
    assert expected == groundplane("doctor", "--node", "n1", "site")


def test_the_site_that_the_agent_keeps(
    groundplane: Command, site: Path, facts: list[Facts]
) -> None:
    Path("state").mkdir()
    save_site(Path("state"), encode(compile_source(site)))
    expected = Done(0, "Node/n1: nothing is in the way\n", "")
    assert expected == groundplane("doctor", "--state-directory", "state")


def test_workloads_of_this_node_are_no_leftovers(
    groundplane: Command, site: Path, facts: list[Facts]
) -> None:
    facts.append(replace(GOOD, workloads=("default-a", "default-gone")))
    Path("state").mkdir()
    save_site(Path("state"), encode(compile_source(site)))
    for where in (("--state-directory", "state"), ("site",)):
        done = groundplane("doctor", *where)
        assert "warning: workload default-gone\n" in done.out
        assert "default-a" not in done.out


def test_an_error_is_1(groundplane: Command, site: Path, facts: list[Facts]) -> None:
    facts.append(BAD)
    done = groundplane("doctor", "site")
    assert (1, "") == (done.status, done.err)
    assert done.out.startswith(TOLD)
    assert done.out.endswith("\n\nNode/n1: 1 error, 1 warning, 0 infos\n")


def test_a_warning_alone_is_0(groundplane: Command, site: Path, facts: list[Facts]) -> None:
    facts.append(replace(GOOD, sysctls=REDIRECTS))
    done = groundplane("doctor", "site")
    assert (0, True) == (done.status, done.out.startswith("warning: "))


def test_for_machines(groundplane: Command, site: Path, facts: list[Facts]) -> None:
    facts.append(BAD)
    done = groundplane("doctor", "site", "-o", "json")
    told = json.loads(done.out)
    assert (1, "n1", False) == (done.status, told["node"], told["healthy"])
    assert ["error", "warning"] == [each["severity"] for each in told["findings"]]
    assert {"severity", "subject", "message", "remedy"} == told["findings"][0].keys()
    facts.append(GOOD)
    told = {"node": "n1", "healthy": True, "findings": []}
    assert told == json.loads(groundplane("doctor", "site", "-o", "json").out)


def test_what_services_expose_is_looked_at(
    groundplane: Command, source: Path, facts: list[Facts]
) -> None:
    port = "{name: http, port: 80, targetPort: http, nodePort: 30080}"
    exposing = "type: NodePort, ports: [" + port + "]}"
    plain = "ports: [{name: http, port: 80, targetPort: http}]}"
    assert plain in FILES["site.yaml"]
    write(source, {"site.yaml": FILES["site.yaml"].replace(plain, exposing)})
    local = {"net/ipv4/ip_local_port_range": "1024 65535"}
    facts.append(replace(GOOD, sysctls=local))
    assert (
        "ip_local_reserved_ports=30000-32767" in groundplane("doctor", "--node", "n1", "site").out
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--node", "n11", "site"), 'the site has no Node "n11"; did you mean "n1"?'),
        (("--state-directory", "nowhere"), "nowhere/site.snapshot: No such file or directory"),
    ],
)
def test_what_is_not_there_is_one_line(
    groundplane: Command, site: Path, facts: list[Facts], arguments: tuple[str, ...], told: str
) -> None:
    done = groundplane("doctor", *arguments)
    assert (1, "", 1) == (done.status, done.out, done.err.count("\n"))
    assert told in done.err


def test_another_machine_is_told_to_name_its_node(
    groundplane: Command, site: Path, facts: list[Facts]
) -> None:
    facts.append(replace(GOOD, addresses=(AddressFact("eth0", "198.51.100.7", 24),)))
    told = "error: no Node has an address of this machine; set --node\n"
    assert Done(1, "", told) == groundplane("doctor", "site")


def test_one_site_only(groundplane: Command, site: Path, facts: list[Facts]) -> None:
    done = groundplane("doctor", "site", "--state-directory", "state")
    assert (1, True) == (done.status, "exclude each other" in done.err)


def test_the_command_line_alone_reads_no_kernel(groundplane: Command) -> None:
    assert importlib.import_module("groundplane.cli.doctor")
    done = groundplane("doctor", "--help")
    assert "a drop anywhere wins" in done.out

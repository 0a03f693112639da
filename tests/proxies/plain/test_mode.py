"""What a mode declares is used wherever something depends on it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from groundplane.agent.proxy_health import proxy_health
from groundplane.agent.status import PlaneStatus
from groundplane.check import check, warnings
from groundplane.cli.services import rows_of_modes
from groundplane.compile.pipeline import allocate_source
from groundplane.compile.resolve import compile_site
from groundplane.dataplanes.conntrack import StaleFlows
from groundplane.errors import CatalogError, StateError
from groundplane.node.config_files import node_files
from groundplane.node.support_bundle import commands_of_a_node
from groundplane.project import project
from groundplane.project.node import project_base
from groundplane.proxies.node import planes, rules_of
from groundplane.site import compiled
from groundplane.site.encoding import encode
from groundplane.site.snapshot import decode
from groundplane_deploys.plan.firewall import openings
from tests.catalogs import SITE, read
from tests.conformance.running import served, site_of
from tests.kernel.ipvs import in_mode
from tests.kernel.spaces import own
from tests.kernel.world import World, ask, run, within
from tests.proxies.plain.registered import registered

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.5
  sessionAffinity: ClientIP
  ports: [{port: 80}]
"""
PLAIN = SITE.replace("spec:\n", "spec:\n  proxyMode: plain\n", 1)


@pytest.fixture(autouse=True, scope="module")
def mode() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture
def site(source: Path) -> compiled.Site:
    catalog = read(source, SERVICE, PLAIN)
    assert [] == check(catalog)
    return compile_site(catalog, allocate_source(source, catalog)[0])


def test_check_says_what_it_does_otherwise(source: Path) -> None:
    told = [str(each) for each in warnings(read(source, SERVICE, PLAIN))]
    (line,) = [each for each in told if "proxyMode plain" in each]
    assert "spec.sessionAffinity: on nodes with proxyMode plain, a client stays" in line


def test_a_snapshot_may_have_it(site: compiled.Site) -> None:
    assert "plain" == decode(encode(site)).site("n1").nodes[0].proxy_mode


def test_describe_shows_its_rows(site: compiled.Site) -> None:
    service = next(each for each in site.services if each.name == "web")
    assert [("Rules", "one by one")] == list(rows_of_modes(site, service))


def test_a_nodes_files_have_its_own(site: compiled.Site) -> None:
    files = node_files(project(site, "n1", frozenset()))
    assert "ip daddr 10.96.0.5 goto refuse" in files["plain.nft"]
    assert "groundplane-services {" not in files["nftables.nft"]


def test_its_dataplane_is_applied_before_the_rules_and_counts_as_the_proxy() -> None:
    names = [each.name for each in planes(StaleFlows())]
    assert ["links", "ipvs", "plain", "nftables", "conntrack"] == names
    behind = PlaneStatus("plain", synced=False), PlaneStatus("nftables", synced=True)
    assert not proxy_health(behind, 1.0, 60.0).healthy


def test_the_deploys_and_the_bundle_have_what_it_needs(site: compiled.Site) -> None:
    base = project_base(site, "n1")
    assert 1 == len(rules_of(base))
    assert "kernel/plain.txt" in commands_of_a_node()
    told = [make for _, make in openings(site, base).of_modes.firewalld]
    assert ["firewall-cmd --permanent --delete-policy=groundplane_ipvs"] == told


# ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    site = site_of("nftables", tmp_path_factory.mktemp("modes"))
    with served(site, own("modes")) as built:
        yield built


def change(net: World, mode: str) -> None:
    net.site = in_mode(net.site, mode)
    net.apply()


def tables(net: World) -> set[str]:
    listed = run(net.node("n1"), "nft", "list", "tables").splitlines()
    return {line.split()[-1] for line in listed}


@pytest.mark.kernel
def test_a_node_changes_its_mode_and_back_while_it_serves(net: World) -> None:
    address = next(each for each in net.site.services if each.name == "far").cluster_ips[0]
    asked = partial(ask, net.workload("a"), address, 80, "TCP")
    for mode, gone in (("plain", "groundplane-services"), ("nftables", "groundplane-plain")):
        change(net, mode)
        assert {"c"} == {each.split()[0] for each in asked(times=5)}
        for reconciler in net.planes["n1"]:
            within(net.node("n1"), reconciler.collect)
        assert gone not in tables(net)
        assert {"c"} == {each.split()[0] for each in asked(times=5)}


def test_a_mode_that_nobody_lists_is_refused_by_name(source: Path) -> None:
    named = r"spec\.proxyMode: \"plane\" is not a proxy mode: nftables or ipvs or plain"
    with pytest.raises(CatalogError, match=named):
        read(source, SERVICE, PLAIN.replace("plain", "plane"))


def test_a_snapshot_with_such_a_mode_is_refused(site: compiled.Site) -> None:
    nodes = tuple(msgspec.structs.replace(each, proxy_mode="plane") for each in site.nodes)
    encoded = encode(msgspec.structs.replace(site, nodes=nodes))
    with pytest.raises(StateError, match="plane"):
        decode(encoded)

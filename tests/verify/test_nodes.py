"""Every node is as declared: units, links, routes, sysctls, rules, the agent's own word."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from groundplane.dataplanes import links
from groundplane.dataplanes.dns.serials import first_serials
from groundplane.dataplanes.dns.wire import later
from groundplane.dataplanes.dns.zones import JOURNAL_DIRECTORY, ZONE_DIRECTORY
from groundplane.kernel.owned import OVERLAY
from groundplane.net.address import network
from groundplane.node.config_files import node_files, zone_files
from groundplane.project import NodeState
from groundplane.proxies import proxy_of
from groundplane_deploys.catalog import read_source
from groundplane_deploys.machine.defaults import PACKAGES, SERIALS
from groundplane_deploys.machine.links import LIBERAL, SYSCTLS

_PIECE = 96 << 10  # bytes of one argument: the kernel takes 128 KiB (execve(2), MAX_ARG_STRLEN)


@pytest.mark.parametrize("unit", ["groundplane-agent", "named", "systemd-networkd"])
def test_unit_runs_and_starts_at_boot(on: Any, unit: str) -> None:
    service = on.service(unit)
    assert service.is_running
    assert service.is_enabled


def test_no_unit_has_failed(on: Any) -> None:
    assert "" == on.check_output("systemctl --failed --no-legend --plain")


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_installed(on: Any, package: str) -> None:
    assert on.package(package).is_installed


def test_node_has_its_name(on: Any, node: str) -> None:
    assert node == on.check_output("hostname")


@pytest.mark.parametrize("name", SYSCTLS)
def test_sysctl(on: Any, name: str) -> None:
    assert SYSCTLS[name] == on.sysctl(name)


def test_late_segments_are_translated(on: Any) -> None:
    assert 1 == on.sysctl(LIBERAL)


def test_sysctls_of_the_proxy_mode(on: Any, wanted: NodeState) -> None:
    settings = proxy_of(wanted.base.proxy_mode).sysctls
    assert settings == {name: on.sysctl(name) for name in settings}


def test_virtual_servers(on: Any, wanted: NodeState) -> None:
    """Those of others may be there, and ours that are leaving."""
    if rules := node_files(wanted).get("ipvs.rules"):
        there = on.check_output("ipvsadm --save --numeric").splitlines()
        assert {*rules.splitlines()} <= {*there}


def test_bridge_has_the_declared_addresses(on: Any, wanted: NodeState) -> None:
    base = wanted.base
    expected = {
        f"{address}/{network(subnet).prefixlen}"
        for address, subnet in zip(base.bridge_addresses, base.subnets, strict=True)
    }
    shown = json.loads(on.check_output("ip -j address show dev groundplane0"))[0]
    found = {f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"] if a["scope"] == "global"}
    assert expected == found
    assert base.bridge_mac == shown["address"]
    assert base.mtu == shown["mtu"]


def test_overlay_is_there_where_it_is_needed(on: Any, wanted: NodeState) -> None:
    base = wanted.base
    shown = [each for each in json.loads(on.check_output("ip -j address")) if each]
    found = [each for each in shown if each["ifname"] == OVERLAY]
    if not base.overlay:
        assert [] == found
        return
    assert base.mtu == found[0]["mtu"]
    addresses = {each["local"] for each in found[0]["addr_info"] if each["scope"] == "global"}
    assert {*base.bridge_addresses} == addresses


def _tunnelled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a route of ip's JSON, which has "dst" twice where it has a tunnel."""
    ends = [value for key, value in pairs if key == "dst"]
    return dict(pairs) | {"dst": ends[0], "tunnel": ends[1]} if len(ends) > 1 else dict(pairs)


def test_routes_are_the_declared_ones(on: Any, wanted: NodeState) -> None:
    expected = {
        destination: (route.via, route.source, route.tunnel)
        for destination, route in links.render(wanted.base, wanted.base).items()
        if isinstance(route, links.Route)
    }
    found = {}
    for family in (4, 6):
        shown = on.check_output(f"ip -j -{family} route show proto 71")
        for route in json.loads(shown, object_pairs_hook=_tunnelled):
            tunnel = route.get("tunnel", "")
            found[route["dst"]] = (route.get("gateway", ""), route.get("prefsrc", ""), tunnel)
    assert expected == found


def _comparable(listing: str) -> list[str]:
    """Return an nft listing in a form that does not depend on the order of elements.

    Nor on which clients are kept: packets write that map, not the agent.
    """
    listing = re.sub(r"(map affinity \{[^{}]*)elements = \{[^}]*\}", r"\1", listing)
    blocks = re.split(r"elements = \{([^}]*)\}", listing)
    return [
        re.sub(r"\s+", " ", block).strip()
        if index % 2 == 0
        else ",".join(sorted(re.sub(r"\s+", " ", part).strip() for part in block.split(",")))
        for index, block in enumerate(blocks)
    ]


@contextmanager
def _put(on: Any, text: str) -> Iterator[str]:
    """Yield the path of a file on the node that has *text*, compressed."""
    packed = base64.b64encode(gzip.compress(text.encode())).decode()
    file = str(on.check_output("mktemp"))
    try:
        for start in range(0, len(packed), _PIECE):
            on.check_output("printf %%s %s >> %s", packed[start : start + _PIECE], file)
        yield file
    finally:
        on.run("rm -f %s", file)


def _listed_apart(on: Any, ruleset: str, show: str) -> str:
    """Return what *show* lists on the node in a network of its own, with *ruleset* loaded."""
    with _put(on, ruleset) as file:
        load = f"base64 -d {file} | gunzip | nft -f - && {show}"
        return str(on.check_output("unshare -n sh -c %s", load))


@pytest.mark.parametrize("family", ["ip", "ip6", "bridge"])
def test_ruleset_is_the_rendered_one(on: Any, wanted: NodeState, family: str) -> None:
    """The node's tables list as the rendered file does once it is loaded there by itself.

    By the node's own nft: versions differ in how they write a rule.
    """
    if family == "ip6" and "IPv6" not in wanted.base.families:
        pytest.skip("the site has no IPv6")
    show = f"nft list table {family} groundplane"
    rendered = node_files(wanted)["nftables.nft"]
    loaded = _listed_apart(on, rendered, show)
    assert _comparable(loaded) == _comparable(on.check_output(show))


_COMPILE = "named-compilezone -q -i none -s full -o -"


def _records(compiled: str) -> tuple[set[str], int]:
    """Return the records that named-compilezone printed, the serial apart."""
    lines = [" ".join(line.split()) for line in compiled.splitlines() if line.strip()]
    (soa,) = {line for line in lines if " SOA " in line}
    words = soa.split()
    return {*lines} - {soa} | {" ".join(words[:6] + words[7:])}, int(words[6])


def test_zones_are_the_rendered_ones(on: Any, wanted: NodeState) -> None:
    """What is served is the file and its journal; serials are those that the agent keeps."""
    if wanted.base.dnssec:
        pytest.skip("the server signs the zones: they have more records than are rendered")
    content = on.check_output("cat %s", SERIALS)
    kept, unused = json.loads(content), first_serials(content.encode())
    for name, text in zone_files(wanted).items():
        zone = name.removeprefix("zones/").removesuffix(".zone")
        served, serial = _records(
            on.check_output(
                f"{_COMPILE} -J %s %s %s",
                f"{JOURNAL_DIRECTORY}/{zone}.jnl",
                zone,
                f"{ZONE_DIRECTORY}/{zone}.zone",
            )
        )
        with _put(on, text) as file:
            command = f"base64 -d {file} | gunzip | {_COMPILE} %s -"
            rendered, _ = _records(on.check_output(command, zone))
        assert rendered == served, zone
        # The file is written ahead: it stands for a thousand changes from its serial on.
        assert not later(kept[zone], serial), zone
        assert later(unused[zone], serial), zone


def test_the_names_server_waits_for_no_disk(on: Any) -> None:
    assert "tmpfs" == on.check_output("stat -f -c %%T %s", JOURNAL_DIRECTORY).strip()


def test_agent_says_that_all_is_as_declared(on: Any, node: str) -> None:
    status = json.loads(on.check_output("groundplane agent status -o json"))
    assert node == status["node"]
    assert status["healthy"]


def test_all_nodes_use_one_revision(hosts: dict[str, Any]) -> None:
    found = {
        json.loads(hosts[name].check_output("groundplane agent status -o json"))["revision"]
        for name in read_source().nodes
    }
    assert 1 == len(found)


def test_agent_runs_without_root(on: Any) -> None:
    pid = on.check_output("systemctl show -P MainPID groundplane-agent")
    assert "groundplane" == on.check_output("ps -o user= -p %s", pid).strip()


def test_name_server_listens_on_our_addresses_only(on: Any, wanted: NodeState) -> None:
    # systemd-resolved has addresses of its own, where it runs.
    listening = on.check_output("ss -Hlnup sport = :53 | grep named").split("\n")
    found = {line.split()[3].rsplit(":", 1)[0].split("%")[0].strip("[]") for line in listening}
    assert {"127.0.0.1", "::1", *wanted.base.bridge_addresses} == found


def test_outside_names_are_forwarded(on: Any, wanted: NodeState) -> None:
    if not wanted.base.forwarders:
        pytest.skip("the site declares no forwarders")
    forwarder = wanted.base.forwarders[0]
    directly = on.run("dig +short +time=2 +tries=1 SOA example.test @%s", forwarder)
    if not directly.stdout.strip():
        pytest.skip("the forwarder does not know example.test")
    assert directly.stdout.strip() == on.check_output("dig +short SOA example.test @127.0.0.1")

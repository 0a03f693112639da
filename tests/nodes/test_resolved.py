"""A node that runs systemd-resolved: our zones go to its own name server, other names where they went."""

from collections.abc import Iterator

import pytest

from tests.nodes.conftest import WEB, Deployed
from tests.nodes.packages import NoPackages, install, remove

pytestmark = pytest.mark.nodes

NODE = "n3"
LINKS = "/etc/systemd/network/*.network.d/dns.conf"
# What a DHCP server would tell the link.
LINK = """
file=$(networkctl status host0 | sed -n 's/^ *Network File: //p')
mkdir -p /etc/systemd/network/${{file##*/}}.d
printf '[Network]\\nDNS={server}\\n' > /etc/systemd/network/${{file##*/}}.d/dns.conf
networkctl reload
systemctl start systemd-resolved
"""
# Without the first command, the fifth start within ten seconds would be refused (systemd.unit(5)).
RESTART = "systemctl reset-failed systemd-resolved && systemctl restart systemd-resolved"
OTHER = "/etc/systemd/resolved.conf.d/other.conf"
DROP_IN = "/etc/systemd/resolved.conf.d/groundplane.conf"


@pytest.fixture(scope="module")
def resolved(site: Deployed) -> Iterator[Deployed]:
    before = site.on(NODE, "cat /etc/resolv.conf")
    (upstream,) = [
        line.split()[1]
        for line in before.splitlines()
        if line.startswith("nameserver ") and "127.0.0.1" not in line
    ][:1]
    try:
        packages = install(site, NODE, "systemd-resolved")
    except NoPackages as error:
        pytest.skip(str(error))
    try:
        site.on(NODE, LINK.format(server=upstream))
        site.deploy("deploys/site.py")
        yield site
    finally:
        remove(site, NODE, packages)
        site.on(NODE, f"rm -rf {DROP_IN} {LINKS}")
        site.on(
            NODE, "networkctl reload; rm -f /etc/resolv.conf; cat > /etc/resolv.conf", stdin=before
        )
        # The link has its address again: the kernel drops what has it as its source, and says nothing.
        show = "ip -4 route show proto 71"
        site.wait(lambda: "groundplane0" in site.on(NODE, show), 30, "the route of services")


def getent(site: Deployed, name: str) -> set[str]:
    found = site.on(NODE, f"getent ahosts {name}", check=False)
    return {line.split()[0] for line in found.splitlines()}


def test_it_is_the_nodes_resolver_and_a_second_deploy_changes_nothing(resolved: Deployed) -> None:
    link = resolved.on(NODE, "readlink /etc/resolv.conf")
    assert "systemd/resolve/stub-resolv.conf" in link
    done = resolved.deploy("deploys/site.py")["results"]["operations"]
    assert [] == [each["name"] for each in done if each["success"] or each["error"]]


def test_names_of_the_site_are_answered_by_the_nodes_own_server(resolved: Deployed) -> None:
    """Below .local it would ask by multicast alone, were the zones not routed (RFC 6762)."""
    (web,) = [each for each in resolved.services if each.name == "web"]
    assert set(web.cluster_ips) == getent(resolved, WEB)
    (ip,) = web.cluster_ips
    assert WEB in resolved.on(NODE, f"getent hosts {ip}")


def test_without_the_server_outside_names_are_resolved(resolved: Deployed) -> None:
    resolved.on(NODE, "systemctl stop named && systemctl kill -s USR2 systemd-resolved")
    try:
        assert {"192.0.2.80", "2001:db8::80"} == getent(resolved, "www.example.test")
    finally:
        resolved.on(NODE, "systemctl start named")
    resolved.wait(lambda: bool(getent(resolved, WEB)), 15, "names of the site")


@pytest.mark.parametrize("llmnr", ["yes", "no"])
@pytest.mark.parametrize("dnssec", ["yes", "no"])
def test_its_other_settings_keep_no_name_from_being_found(
    resolved: Deployed, dnssec: str, llmnr: str
) -> None:
    (web,) = [each for each in resolved.services if each.name == "web"]
    settings = f"[Resolve]\nDNSSEC={dnssec}\nLLMNR={llmnr}\n"
    try:
        resolved.on(NODE, f"cat > {OTHER} && {RESTART}", stdin=settings)
        assert set(web.cluster_ips) == getent(resolved, WEB)
        (ip,) = web.cluster_ips
        assert WEB in resolved.on(NODE, f"getent hosts {ip}")
    finally:
        resolved.on(NODE, f"rm -f {OTHER} && {RESTART}")


def test_global_name_servers_of_others_are_refused_by_name(resolved: Deployed) -> None:
    """They share one pool with ours, and would be asked for the site's names (resolved.conf(5))."""
    try:
        resolved.on(NODE, f"cat > {OTHER}", stdin="[Resolve]\nDNS=192.0.2.53\n")
        with pytest.raises(AssertionError) as caught:
            resolved.deploy("deploys/site.py")
        assert f"{OTHER} gives systemd-resolved global name servers (192.0.2.53)" in str(
            caught.value
        )
    finally:
        resolved.on(NODE, f"rm -f {OTHER}")

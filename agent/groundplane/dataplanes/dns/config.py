"""The configuration of the node's BIND 9 and of its clients. Pure."""

from typing import Final

from groundplane.dataplanes.dns.local import LOCAL_DIRECTORY, empty_zones, local_files
from groundplane.dataplanes.dns.zones import JOURNAL_DIRECTORY, ZONE_DIRECTORY, zones_of
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template

CONFIG_FILE: Final = "/etc/bind/groundplane.conf"
REBUILD_SCRIPT: Final = "/etc/groundplane/rebuild-zones"
REBUILD_REQUEST: Final = "/run/groundplane/rebuild-zones"  # a file: the agent asks for the script
CACHE_DIRECTORY: Final = "/var/cache/bind"
KEY_FILE: Final = "/etc/bind/groundplane.key"
KEY_NAME: Final = "groundplane"


def server_config(
    base: NodeBase,
    *,
    directory: str = ZONE_DIRECTORY,
    journals: str = JOURNAL_DIRECTORY,
    cache: str = CACHE_DIRECTORY,
    key_file: str = KEY_FILE,
    port: int = 53,
    local: str = LOCAL_DIRECTORY,
) -> str:
    """Return the configuration of the node's BIND 9."""
    return render_template(
        "named.conf.j2",
        base=base,
        zones=zones_of(base),
        local=local,
        local_zones=tuple(local_files(base)),
        empty_zones=empty_zones(base),
        directory=directory,
        journals=journals,
        cache=cache,
        key_file=key_file,
        port=port,
        key=KEY_NAME,
        ipv4=[text for text in base.bridge_addresses if family_of(text) == "IPv4"],
        ipv6=[text for text in base.bridge_addresses if family_of(text) == "IPv6"],
        clients=(
            *base.workload_cidrs,
            *base.addresses,
            *(text for peer in base.peers for text in peer.addresses),
        ),
    )


def resolved_conf(base: NodeBase) -> str:
    """Return systemd-resolved's configuration: our zones are routed to the node's own server.

    Without it, names below .local are resolved only by multicast (resolved.conf(5), RFC 6762).
    """
    domains = " ".join(f"~{zone}" for zone in zones_of(base))
    return f"[Resolve]\nDNS=127.0.0.1\nDomains={domains}\n"


def negative_trust_anchors(base: NodeBase) -> str:
    """Return the zones that systemd-resolved must not validate (dnssec-trust-anchors.d(5)).

    No parent zone signs a delegation to them, so DNSSEC=yes would reject their answers.
    """
    return "".join(f"{zone}\n" for zone in zones_of(base))


def rebuild_script(
    base: NodeBase,
    *,
    directory: str = ZONE_DIRECTORY,
    journals: str = JOURNAL_DIRECTORY,
    request: str = REBUILD_REQUEST,
    user: str = "bind",
    rndc: str = "rndc",
) -> str:
    """Return the script that rebuilds zones that the server does not load; see its first lines."""
    return render_template(
        "rebuild-zones.sh.j2",
        zones=zones_of(base),
        directory=directory,
        journals=journals,
        request=request,
        user=user,
        rndc=rndc,
    )

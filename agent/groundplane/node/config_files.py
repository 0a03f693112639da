"""A node's complete configuration as text: `render` writes it, and the deploy installs it."""

from collections.abc import Mapping

from groundplane.dataplanes import dns, links
from groundplane.project.state import NodeState
from groundplane.proxies.node import files_of


def node_files(state: NodeState) -> dict[str, str]:
    """Return every file of the node's configuration by its relative name.

    nftables.nft replaces our tables when it is loaded; where IPVS balances, ipvs.nft leads there and
    ipvs.rules is for `ipvsadm --restore`. zones/ has each zone with serial 1;
    named.conf is the DNS server's, local/ has its zones of the host itself; network/ is
    systemd-networkd's. rfc2317/ is for the servers of
    the zone above, where a range is a part of a /24.
    """
    files = {**files_of(state), "named.conf": dns.server_config(state.base)}
    for name, text in links.network_units(state.base).items():
        files[f"network/{name}"] = text
    for zone, text in dns.local_files(state.base).items():
        files[f"local/{zone}.zone"] = text
    return files | zone_files(state) | _delegations(state)


def _delegations(state: NodeState) -> dict[str, str]:
    """Return what a site needs that delegates the reverse names of a part of a /24 (RFC 2317)."""
    ranges = (*state.base.service_cidrs, *state.base.workload_cidrs)
    classless = list(filter(dns.is_classless, ranges))
    if not classless:
        return {}
    pointers = [
        record
        for part in state.parts
        for record in dns.render(state.base, part)
        if record.type == "PTR"
    ]
    return {
        f"rfc2317/{name}": text
        for cidr in classless
        for name, text in dns.classless_files(cidr, pointers).items()
    }


def zone_files(state: NodeState, serials: Mapping[str, int] | None = None) -> dict[str, str]:
    """Return the node's zone files by their relative names, with the *serials* of their zones, or 1."""
    serials = serials or {}
    by_zone: dict[str, list[tuple[str, str, str, int]]] = {
        zone: [] for zone in dns.zones_of(state.base)
    }
    for part in state.parts:
        for record, ttl in dns.render(state.base, part).items():
            by_zone[record.zone].append((record.owner, record.type, record.rdata, ttl))
    return {
        f"zones/{zone}.zone": dns.zone_file(zone, records, serials.get(zone, 1))
        for zone, records in by_zone.items()
    }

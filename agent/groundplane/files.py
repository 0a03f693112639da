"""A node's whole configuration as text: what `render` writes, and what the deploy puts in place."""

from groundplane.dataplanes import dns, links, nftables
from groundplane.project.state import NodeState


def node_files(state: NodeState) -> dict[str, str]:
    """Return every file of the node's configuration by its relative name.

    nftables.nft replaces our tables when it is loaded; zones/ has each zone with serial 1;
    named.conf is the DNS server's, network/ systemd-networkd's.
    """
    elements: dict[bytes, bytes] = {}
    for part in state.parts:
        elements.update(nftables.render(state.base, part))
    files = {
        "nftables.nft": nftables.ruleset(state.base, elements),
        "named.conf": dns.server_config(state.base),
    }
    for name, text in links.network_units(state.base).items():
        files[f"network/{name}"] = text
    return files | zone_files(state)


def zone_files(state: NodeState) -> dict[str, str]:
    """Return the node's zone files by their relative names."""
    by_zone: dict[str, list[tuple[str, str, str, int]]] = {
        zone: [] for zone in dns.zones_of(state.base)
    }
    for part in state.parts:
        for record, ttl in dns.render(state.base, part).items():
            by_zone[record.zone].append((record.owner, record.type, record.rdata, ttl))
    return {f"zones/{zone}.zone": dns.zone_file(zone, records) for zone, records in by_zone.items()}

"""A service to rules of nft, one or a few for each frontend, without a map. Pure.

Slow: a packet passes the rules of all frontends before its own. It is here to be compared with.
"""

from collections.abc import Iterator, Mapping, Sequence

from groundplane.kernel import owned
from groundplane.net.address import address_and_port, family_of
from groundplane.net.protocols import Family
from groundplane.project.sources import allowed_sources
from groundplane.project.state import NodeBase, Part, VirtualPort, VirtualService

Objects = Mapping[str, tuple[str, ...]]  # rules by a name whose order is that of the chain

TABLE = "groundplane-plain"
NAMES: Mapping[Family, str] = {"IPv4": "ip", "IPv6": "ip6"}


def render(base: NodeBase, part: Part) -> Objects:
    """Return the rules of each frontend of *part*, and those of its addresses, by their names."""
    found: dict[str, tuple[str, ...]] = {}
    if base.proxy_mode != "plain" or not isinstance(part, VirtualService):
        return found
    outside = part.external_ips + part.load_balancer_ips
    for address in part.cluster_ips + outside:
        if address not in part.shared:
            ip = NAMES[family_of(address)]
            found[f"{ip} 2 {address}"] = (f"{ip} daddr {address} goto refuse",)
    for cluster_ip in part.cluster_ips:  # one of each family
        family = family_of(cluster_ip)
        ip = NAMES[family]
        for port in part.ports:
            for address in (cluster_ip, *(each for each in outside if family_of(each) == family)):
                rules = tuple(_rules(base, part, port, family, address))
                found[f"{ip} 1 {address} {port.protocol} {port.port}"] = rules
            for address in base.addresses if port.node_port else ():
                if family_of(address) == family:
                    rules = tuple(_rules(base, part, port, family, address))
                    found[f"{ip} 1 {address} {port.protocol} {port.node_port}"] = rules
    return found


def _rules(
    base: NodeBase, service: VirtualService, port: VirtualPort, family: Family, address: str
) -> Iterator[str]:
    ip, targets = NAMES[family], port.targets(family)
    number = port.port
    if address in base.addresses and address not in service.external_ips:
        number = port.node_port
    match = f"{ip} daddr {address} {port.protocol.lower()} dport {number}"
    every = _choice(service, ip, targets.cluster)
    here = _choice(service, ip, targets.local) if targets.local or not targets.cluster else "drop"
    inside = f"{ip} saddr {{ {', '.join(_of(base.workload_cidrs, family))} }}"
    own = f"{ip} saddr {{ {', '.join(_of(base.subnets, family))} }}"
    masquerade = f"ct label set {owned.MASQUERADED_LABEL}"
    if address in service.cluster_ips:
        chosen = here if service.internal_local else every
        yield f"{match} {inside} {chosen}"
        if not base.cluster_ips_from_outside:
            yield f"{match} fib saddr type != local drop"
        yield f"{match} {masquerade} {chosen}"
        return
    if address in service.load_balancer_ips and service.source_ranges:
        ranges = allowed_sources(base, service, family)
        if not any(each.endswith("/0") for each in ranges):
            listed = f"{ip} saddr != {{ {', '.join(ranges)} }}" if ranges else ""
            yield f"{match} {listed} drop"
    if not service.external_local:
        yield f"{match} {masquerade} {every}"
        return
    yield f"{match} {own} {every}"
    yield f"{match} {inside} {masquerade} {every}"
    yield f"{match} fib saddr type local {masquerade} {every}"
    yield f"{match} {here}"


def _choice(service: VirtualService, ip: str, targets: Sequence[bytes]) -> str:
    """Return the statement that translates to one of *targets*, the same for a client that is kept."""
    if not targets:
        return "goto refuse"
    drawn = "numgen random"
    if service.affinity_seconds or service.consistent_hash:
        drawn = f"jhash {ip} saddr"
        targets = sorted(set(targets))
    places = (
        f"{number} : {address} . {port}"
        for number, (address, port) in enumerate(map(address_and_port, targets))
    )
    return f"dnat {ip} to {drawn} mod {len(targets)} map {{ {', '.join(places)} }}"


def _of(texts: Sequence[str], family: Family) -> list[str]:
    return [text for text in texts if family_of(text) == family]


def ruleset(base: NodeBase, objects: Objects) -> str:
    """Return a file for `nft -f` that replaces the tables of this mode."""
    return "".join(_table(base, family, objects) for family in base.families)


def _table(base: NodeBase, family: Family, objects: Objects) -> str:
    ip = NAMES[family]
    rules = [
        each for name in sorted(objects) if name.startswith(f"{ip} ") for each in objects[name]
    ]
    services = ", ".join(_of(base.service_cidrs, family))
    icmp = "icmp" if ip == "ip" else "icmpv6"
    return f"""\
add table {ip} {TABLE}
delete table {ip} {TABLE}
table {ip} {TABLE} {{
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject with {icmp} port-unreachable
  }}
  chain services {{
    {"; ".join(rules)}
    {ip} daddr {{ {services} }} drop
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat
    goto services
  }}
  chain output {{
    type nat hook output priority {owned.TRANSLATED_AT}
    goto services
  }}
  chain postrouting {{
    type nat hook postrouting priority {owned.MASQUERADED_AT}
    ct label {owned.MASQUERADED_LABEL} masquerade fully-random
  }}
}}
"""

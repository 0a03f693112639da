"""The tables of service rules, from the template of a mode that looks up frontends in nftables."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from groundplane.dataplanes.nftables.rules import DIGEST
from groundplane.dataplanes.nftables.text import NAMES
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.address import BITS, family_of, from_int
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template
from groundplane.site.map_sizes import RANGE_STEP

# A packet that no longer matches its service must not match its address: it would be rejected.
EMPTIED: Final = ("service_addresses",)
CONSTANT: Final = ("classes", "service_cidrs", "own_workloads", "workload_cidrs")
_COMPLAINTS: Final[dict[Family, str]] = {  # what ICMP says of a packet that it shows
    "IPv4": "{ destination-unreachable, time-exceeded, parameter-problem }",
    "IPv6": "{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }",
}


def service_tables(base: NodeBase) -> Sequence[Table]:
    return [Table(NAMES[family], owned.SERVICES_TABLE) for family in base.families]


def service_rules(template: str, base: NodeBase, classes: Iterable[str], **more: Any) -> str:
    """Return the text of *template*, which extends templates/proxies/services.nft.j2.

    *classes* are the elements of the map from a class to the verdict for its connections.
    """
    return render_template(
        template,
        base=base,
        classes=list(classes),
        digest=DIGEST,
        families=[_family(base, family) for family in base.families],
        **more,
    )


def _family(base: NodeBase, family: Family) -> dict[str, Any]:
    bits = BITS[family]
    lengths = range(RANGE_STEP, bits + 1, RANGE_STEP)
    masks = [from_int((1 << bits) - (1 << bits - length), family) for length in lengths]
    # nft 1.0.6 puts the data of an `update` after 16 bytes of key: an IPv6 address is too long.
    halves = [f"jhash ip6 saddr mod 0xffffffff seed {seed}" for seed in (1, 2)]
    return {
        "ip": NAMES[family],
        "icmp": "icmp" if family == "IPv4" else "icmpv6",
        "complaints": _COMPLAINTS[family],
        "client": "ip saddr" if family == "IPv4" else " . ".join(halves),
        "client_type": "ip saddr" if family == "IPv4" else " . ".join(["numgen random mod 1"] * 2),
        "ranges": list(zip(lengths, masks, strict=True)),
        "own": _of_family(base.subnets, family),
        "services": _of_family(base.service_cidrs, family),
        "workloads": _of_family(base.workload_cidrs, family),
    }


def _of_family(texts: Iterable[str], family: Family) -> list[str]:
    return [text for text in texts if family_of(text) == family]

"""The plumbing's tables, from their template."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from groundplane.dataplanes.nftables.rules import DIGEST, Rules
from groundplane.dataplanes.nftables.text import NAMES
from groundplane.dataplanes.plumbing.maps import maps_of
from groundplane.dataplanes.plumbing.render import render
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.address import BITS, family_of, from_int
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template


def _tables(base: NodeBase) -> Sequence[Table]:
    names = [*(NAMES[family] for family in base.families), *_foreign(base), "bridge"]
    return [Table(name, owned.TABLE) for name in names]


def _foreign(base: NodeBase) -> list[str]:
    """Return the families that the site does not use but whose tunnels the VXLAN link accepts."""
    if base.overlay is None or base.overlay.mode != "vxlan":
        return []
    return [name for family, name in NAMES.items() if family not in base.families]


def _text(base: NodeBase) -> str:
    return render_template(
        "plumbing.nft.j2",
        base=base,
        digest=DIGEST,
        families=[_family(base, family) for family in base.families],
        foreign=_foreign(base),
    )


def _family(base: NodeBase, family: Family) -> dict[str, Any]:
    return {
        "ip": NAMES[family],
        "icmp": "icmp" if family == "IPv4" else "icmpv6",
        "bridge": _of_family(base.bridge_addresses, family),
        "external": _of_family(base.external_cidrs, family),
        "subnet_mask": _mask(_of_family(base.subnets, family)[0]),
        "workloads": _of_family(base.workload_cidrs, family),
        "not_masqueraded": _of_family(
            (*base.workload_cidrs, *base.service_cidrs, *base.non_masquerade_cidrs), family
        ),
    }


def _mask(cidr: str) -> str:
    """Return the mask of *cidr* as an address: all node subnets of a family have the same mask."""
    family, length = family_of(cidr), int(cidr.partition("/")[2])
    return from_int((1 << BITS[family]) - (1 << BITS[family] - length), family)


def _of_family(texts: Iterable[str], family: Family) -> list[str]:
    return [text for text in texts if family_of(text) == family]


PLUMBING: Final = Rules(
    tables=_tables,
    text=_text,
    maps=maps_of,
    render=render,
    constant=("external_cidrs", "workload_cidrs", "not_masqueraded"),
)

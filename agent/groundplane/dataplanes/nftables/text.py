"""The ruleset as text: the constant framework from its template, and elements in nft's syntax."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from groundplane.dataplanes.nftables.handle import (
    BALANCED,
    DRAWS,
    DROP,
    EXACT,
    HASH,
    LOCAL_POOL,
    REFUSE,
    SIZES,
    TIMEOUT_SHIFT,
)
from groundplane.dataplanes.nftables.maps import BY_CODE, Element, map_of
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.address import BITS, family_of, from_int
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template
from groundplane.site.map_limits import HASH_SEED, HASH_SLOTS
from groundplane.site.map_sizes import RANGE_STEP

TABLES: Final = tuple(Table(family, owned.TABLE) for family in ("ip", "ip6", "bridge"))
AFFINITY_SIZE: Final = 262144  # clients that are kept; what is beyond is balanced without affinity
_DIGEST: Final = "@digest@"
_COMPLAINTS: Final[dict[Family, str]] = {  # what ICMP says of a packet that it shows
    "IPv4": "{ destination-unreachable, time-exceeded, parameter-problem }",
    "IPv6": "{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }",
}
_NAMES: Final[dict[Family, str]] = {"IPv4": "ip", "IPv6": "ip6"}


def tables_of(base: NodeBase) -> list[str]:
    """Return the families that *base* needs a table of ours in."""
    return [*(_NAMES[family] for family in base.families), *_foreign(base), "bridge"]


def _foreign(base: NodeBase) -> list[str]:
    """Return the families that the site does not have, and VXLAN's link takes tunnels of."""
    if base.overlay is None or base.overlay.mode != "vxlan":
        return []
    return [name for family, name in _NAMES.items() if family not in base.families]


@lru_cache(maxsize=4)
def framework(base: NodeBase) -> str:
    """Return the tables, maps, chains and rules that *base* needs, without an element.

    The digest in each table's comment is how a restarted agent knows them for its own.
    """
    text = _framework(base)
    return text.replace(_DIGEST, _digest(text))


@lru_cache(maxsize=4)
def framework_digest(base: NodeBase) -> str:
    """Return the digest that `framework` writes into the tables of *base*."""
    return _digest(_framework(base))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _framework(base: NodeBase) -> str:
    return render_template(
        "nftables.nft.j2",
        affinity_size=AFFINITY_SIZE,
        base=base,
        classes=list(_classes(base)),
        digest=_DIGEST,
        draws=DRAWS,
        exact=EXACT,
        families=[_family(base, family) for family in base.families],
        foreign=_foreign(base),
        hash_seed=f"{HASH_SEED:#x}",
        hash_slots=HASH_SLOTS,
        sizes=SIZES,
        translate="meta l4proto { tcp, udp, sctp }",
    )


def _family(base: NodeBase, family: Family) -> dict[str, Any]:
    ip, bits = _NAMES[family], BITS[family]
    lengths = range(RANGE_STEP, bits + 1, RANGE_STEP)
    masks = [from_int((1 << bits) - (1 << bits - length), family) for length in lengths]
    # nft 1.0.6 keeps the data of an `update` behind 16 bytes of key: an IPv6 address is too long.
    halves = [f"jhash ip6 saddr mod 0xffffffff seed {seed}" for seed in (1, 2)]
    return {
        "ip": ip,
        "icmp": "icmp" if family == "IPv4" else "icmpv6",
        "complaints": _COMPLAINTS[family],
        "client": "ip saddr" if family == "IPv4" else " . ".join(halves),
        "client_type": "ip saddr" if family == "IPv4" else " . ".join(["numgen random mod 1"] * 2),
        "ranges": list(zip(lengths, masks, strict=True)),
        "bridge": _of_family(base.bridge_addresses, family),
        "own": _of_family(base.subnets, family),
        "services": _of_family(base.service_cidrs, family),
        "external": _of_family(base.external_cidrs, family),
        "subnet_mask": _mask(_of_family(base.subnets, family)[0]),
        "workloads": _of_family(base.workload_cidrs, family),
        "not_masqueraded": _of_family(
            (*base.workload_cidrs, *base.service_cidrs, *base.non_masquerade_cidrs), family
        ),
    }


def _mask(cidr: str) -> str:
    """Return the mask of *cidr* as an address: all subnets of nodes of a family have the same."""
    family, length = family_of(cidr), int(cidr.partition("/")[2])
    return from_int((1 << BITS[family]) - (1 << BITS[family] - length), family)


def _classes(base: NodeBase) -> Iterator[str]:
    """Yield the elements of the map `classes`: what a handle's low bits mean, pool parity included."""
    for parity in (0, LOCAL_POOL):
        yield f"{parity | REFUSE:#x} : goto refuse"
        yield f"{parity | DROP:#x} : drop"
        if base.proxy_mode == "ipvs":
            yield f"{parity | BALANCED:#x} : goto balance"
            continue
        yield f"{parity | HASH:#x} : goto consistent"
        for class_ in range(1, len(SIZES) + 1):
            yield f"{parity | class_:#x} : goto pick_{class_}"
            for number in range(1, len(base.affinity_timeouts) + 1):
                key = parity | number << TIMEOUT_SHIFT | class_
                yield f"{key:#x} : goto sticky_{'local_' if parity else ''}{number}"


def _of_family(cidrs: tuple[str, ...], family: str) -> list[str]:
    return [cidr for cidr in cidrs if family_of(cidr) == family]


def removal() -> str:
    """Return commands that remove our tables, whether they are there or not."""
    return "".join(f"add table {f} {name}\ndelete table {f} {name}\n" for f, name in TABLES)


def ruleset(base: NodeBase, elements: Mapping[Element, bytes]) -> str:
    """Return a file that replaces our tables as a whole: `nft -f` loads it on its own."""
    return removal() + framework(base) + "".join(_additions(elements))


def _additions(elements: Mapping[Element, bytes]) -> Iterator[str]:
    by_map: dict[int, list[str]] = defaultdict(list)
    for element, data in elements.items():
        by_map[element[0]].append(map_of(element).element_text(element, data))
    for code, texts in sorted(by_map.items()):
        yield _addition(code, sorted(texts))


def _addition(code: int, texts: list[str]) -> str:
    map_, listed = BY_CODE[code], ",\n  ".join(texts)
    return f"add element {map_.family} {owned.TABLE} {map_.name} {{\n  {listed}\n}}\n"

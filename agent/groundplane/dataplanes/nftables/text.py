"""The ruleset as text: the constant framework from its template, and elements in nft's syntax."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from groundplane.dataplanes.nftables.handle import DRAWS, EXACT, SIZES
from groundplane.dataplanes.nftables.maps import MAPS, TABLE, Element, Map
from groundplane.model.address import family_of
from groundplane.project.state import BRIDGE, NodeBase
from groundplane.rendering import render_template

TABLES: Final = (("ip", TABLE), ("ip6", TABLE), ("bridge", TABLE))
_DIGEST: Final = "@digest@"


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
        base=base,
        bridge=BRIDGE,
        digest=_DIGEST,
        draws=DRAWS,
        exact=EXACT,
        families=[
            {
                "ip": "ip" if family == "IPv4" else "ip6",
                "icmp": "icmp" if family == "IPv4" else "icmpv6",
                "maps": MAPS[family],
                "services": _of_family(base.service_cidrs, family),
                "workloads": _of_family(base.workload_cidrs, family),
                "not_masqueraded": _of_family(
                    (*base.workload_cidrs, *base.service_cidrs, *base.non_masquerade_cidrs), family
                ),
            }
            for family in base.families
        ],
        sizes=SIZES,
        table=TABLE,
    )


def _of_family(cidrs: tuple[str, ...], family: str) -> list[str]:
    return [cidr for cidr in cidrs if family_of(cidr) == family]


def removal() -> str:
    """Return commands that remove our tables, whether they are there or not."""
    return "".join(f"add table {f} {name}\ndelete table {f} {name}\n" for f, name in TABLES)


def ruleset(base: NodeBase, elements: Mapping[Element, bytes]) -> str:
    """Return a file that replaces our tables as a whole: `nft -f` loads it on its own."""
    return removal() + framework(base) + "".join(_additions(elements))


def _additions(elements: Mapping[Element, bytes]) -> Iterator[str]:
    by_map: dict[Map, list[str]] = defaultdict(list)
    for (map_, key), data in elements.items():
        by_map[map_].append(map_.element_text(key, data))
    for map_ in (each for maps in MAPS.values() for each in maps.all):
        if texts := by_map.get(map_):
            yield f"add element {map_.family} {TABLE} {map_.name} {{\n  "
            yield ",\n  ".join(sorted(texts))
            yield "\n}\n"

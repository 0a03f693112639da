"""The rules of the mode nftables, which draw an endpoint for each connection."""

from collections.abc import Iterator, Sequence
from typing import Final

from groundplane.dataplanes.nftables.maps import Map
from groundplane.dataplanes.nftables.rules import Rules
from groundplane.project.state import NodeBase
from groundplane.proxies.frontends.handle import DROP, LOCAL_POOL, REFUSE
from groundplane.proxies.frontends.maps import MAPS as FRONTENDS
from groundplane.proxies.frontends.rules import CONSTANT, EMPTIED, service_rules, service_tables
from groundplane.proxies.nftables.classes import DRAWS, EXACT, HASH, SIZES, TIMEOUT_SHIFT
from groundplane.proxies.nftables.maps import MAPS
from groundplane.proxies.nftables.render import render
from groundplane.site.map_limits import HASH_SEED, HASH_SLOTS

AFFINITY_SIZE: Final = 262144  # clients remembered; further ones are balanced without affinity


def _text(base: NodeBase) -> str:
    return service_rules(
        "proxies/nftables.nft.j2",
        base,
        _classes(base),
        affinity_size=AFFINITY_SIZE,
        draws=DRAWS,
        exact=EXACT,
        hash_seed=f"{HASH_SEED:#x}",
        hash_slots=HASH_SLOTS,
        sizes=SIZES,
        translate="meta l4proto { tcp, udp, sctp }",
    )


def _classes(base: NodeBase) -> Iterator[str]:
    """Yield the elements of the map `classes`: a handle's low bits and pool parity to a verdict."""
    for parity in (0, LOCAL_POOL):
        yield f"{parity | REFUSE:#x} : goto refuse"
        yield f"{parity | DROP:#x} : drop"
        yield f"{parity | HASH:#x} : goto consistent"
        for class_ in range(1, len(SIZES) + 1):
            yield f"{parity | class_:#x} : goto pick_{class_}"
            for number in range(1, len(base.affinity_timeouts) + 1):
                key = parity | number << TIMEOUT_SHIFT | class_
                yield f"{key:#x} : goto sticky_{'local_' if parity else ''}{number}"


def _maps(base: NodeBase) -> Sequence[Map]:
    found = []
    for family in base.families:
        own = MAPS[family]
        found += [*FRONTENDS[family].all, own.slots, own.choices, own.endpoints]
    return found


def _kept(base: NodeBase) -> Sequence[Map]:
    return [MAPS[family].affinity for family in base.families] if base.affinity_timeouts else []


RULES: Final = Rules(
    tables=service_tables,
    text=_text,
    maps=_maps,
    render=render,
    emptied=EMPTIED,
    constant=(*CONSTANT, "choose"),
    kept=_kept,
)

"""The rules of the mode ipvs, which lead connections to IPVS."""

from collections.abc import Iterator, Sequence
from typing import Final

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables.maps import Element, Map
from groundplane.dataplanes.nftables.rules import Rules
from groundplane.dataplanes.nftables.text import NAMES
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.project.state import NodeBase
from groundplane.proxies.frontends.handle import DROP, LOCAL_POOL, REFUSE
from groundplane.proxies.frontends.maps import MAPS as FRONTENDS
from groundplane.proxies.frontends.rules import CONSTANT, EMPTIED, service_rules, service_tables
from groundplane.proxies.ipvs.frontends import BALANCED, leads_to_ipvs, render_frontends
from groundplane.proxies.ipvs.maps import MAPS


def _text(base: NodeBase) -> str:
    return service_rules("proxies/ipvs.nft.j2", base, _classes())


def _classes() -> Iterator[str]:
    for parity in (0, LOCAL_POOL):
        yield f"{parity | REFUSE:#x} : goto refuse"
        yield f"{parity | DROP:#x} : drop"
        yield f"{parity | BALANCED:#x} : goto balance"


def _maps(base: NodeBase) -> Sequence[Map]:
    return [each for f in base.families for each in (*FRONTENDS[f].all, *MAPS[f].all)]


def _required(base: NodeBase, delta: Delta[Element, bytes]) -> Sequence[Table]:
    """Return the tables that lead marked packets to IPVS, if *delta* leads any there."""
    if not leads_to_ipvs(delta):
        return ()
    return [Table(NAMES[family], owned.IPVS_TABLE) for family in base.families]


RULES: Final = Rules(
    tables=service_tables,
    text=_text,
    maps=_maps,
    render=render_frontends,
    emptied=EMPTIED,
    constant=CONSTANT,
    required=_required,
)

"""A node's ruleset of either proxy mode, and the maps of plumbing and modes side by side."""

from collections.abc import Mapping
from typing import Final

from groundplane.dataplanes.nftables import Nftables, text
from groundplane.dataplanes.nftables.maps import Element, Elements, Map
from groundplane.dataplanes.plumbing import maps as plumbing
from groundplane.kernel.tables import Table
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase, Part
from groundplane.proxies.frontends import maps as frontends
from groundplane.proxies.ipvs import maps as ipvs
from groundplane.proxies.nftables import maps as nftables
from groundplane.proxies.node import rules_of


class Maps:
    """Every map of one IP family, by its name in its module."""

    def __init__(self, family: Family) -> None:
        self._found = [each.MAPS[family] for each in (plumbing, frontends, nftables, ipvs)]

    def __getattr__(self, name: str) -> Map:
        found = next(each for each in self._found if hasattr(each, name))
        map_ = getattr(found, name)
        assert isinstance(map_, Map)
        return map_


MAPS: Final[dict[Family, Maps]] = {"IPv4": Maps("IPv4"), "IPv6": Maps("IPv6")}
AFFINITY: Final[dict[Family, Map]] = {f: each.affinity for f, each in nftables.MAPS.items()}


def dataplane() -> Nftables:
    return Nftables(rules_of)


def render(base: NodeBase, part: Part) -> Elements:
    """Return the elements of *part*, by all rules of the node."""
    return {k: v for each in rules_of(base) for k, v in each.render(base, part).items()}


def framework(base: NodeBase) -> str:
    return text.framework(rules_of(base), base)


def framework_digest(base: NodeBase) -> str:
    return text.framework_digest(rules_of(base), base)


def tables_of(base: NodeBase) -> list[Table]:
    return text.tables_of(rules_of(base), base)


def ruleset(base: NodeBase, elements: Mapping[Element, bytes]) -> str:
    return text.ruleset(rules_of(base), base, elements)

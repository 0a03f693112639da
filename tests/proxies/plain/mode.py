"""A proxy mode as its author adds it: one value, in a folder of its own."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from groundplane.diagnosis.translated import translated_packets
from groundplane.kernel.tables import list_tables, remove_tables
from groundplane.project.state import NodeBase, NodeState
from groundplane.proxies.proxy import Feature, Features, Leftover, Proxy
from groundplane.site.compiled import Service, Site
from tests.proxies.plain.plane import Plain
from tests.proxies.plain.rules import TABLE, render, ruleset


def _unsupported(features: Features) -> Iterator[tuple[Feature, str]]:
    if features.affinity:
        yield "affinity", "a client stays for ever, and moves when an endpoint comes or goes"


def _describe(_site: Site, _service: Service, where: str) -> Iterator[tuple[str, str]]:
    yield "Rules", f"one by one{where}"


def _files(state: NodeState) -> Mapping[str, str]:
    objects = {k: v for part in state.parts for k, v in render(state.base, part).items()}
    return {"plain.nft": ruleset(state.base, objects)}


def _leftovers(_base: NodeBase | None) -> Iterator[Leftover]:
    if tables := [each for each in list_tables() if each.name == TABLE]:
        yield Leftover("rules one by one", partial(remove_tables, tables))


PROXY: Final = Proxy(
    name="plain",
    unsupported=_unsupported,
    describe=_describe,
    packages=("nftables-plain",),
    modules=("nft_plain",),
    sysctls={"net.ipv4.ip_forward": 1},
    rules=lambda: None,
    planes={"plain": Plain},
    files=_files,
    leftovers=_leftovers,
    synced_by="plain",
    test_packets=translated_packets,
    commands={"kernel/plain.txt": ("nft", "list", "table", "ip", TABLE)},
)

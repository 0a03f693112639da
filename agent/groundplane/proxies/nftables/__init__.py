"""The mode nftables: rules draw an endpoint for each connection. See README.md here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from groundplane.diagnosis.translated import translated_packets
from groundplane.proxies.proxy import Feature, Features, Proxy

if TYPE_CHECKING:
    from groundplane.dataplanes.nftables import Rules


def _unsupported(features: Features) -> Iterator[tuple[Feature, str]]:
    if features.forwarding != "masquerading":
        yield "forwarding", "its endpoints are translated to"


def _rules() -> "Rules":
    from groundplane.proxies.nftables.rules import RULES

    return RULES


PROXY: Final = Proxy(
    name="nftables",
    unsupported=_unsupported,
    rules=_rules,
    test_packets=translated_packets,
)

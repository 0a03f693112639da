"""Entries of the conntrack table, as the kernel writes them."""

from groundplane.dataplanes.conntrack import Flow
from groundplane.kernel.netlink import attribute, nest, netfilter

_STATUS, _TIMEOUT, _MARK, _ID, _USE, _ZONE = 3, 7, 8, 12, 11, 18


def ends(direction: int, flow: Flow, *, protocol: int | None = None, extra: bytes = b"") -> bytes:
    """Return a tuple of *flow*: 1 the original one, 2 the reply's."""
    there, back = (flow.source, flow.source_port), (flow.destination, flow.port)
    if direction == 2:
        there, back = (flow.reply_source, flow.reply_port), (flow.source, flow.source_port)
    kinds = (1, 2) if len(flow.source) == 4 else (3, 4)
    addresses = [attribute(kind, end[0]) for kind, end in zip(kinds, (there, back), strict=True)]
    ports = [attribute(kind, end[1].to_bytes(2, "big")) for kind, end in ((2, there), (3, back))]
    number = attribute(1, bytes([flow.protocol if protocol is None else protocol]))
    return nest(direction, nest(1, *addresses), nest(2, number, *ports), extra)


def entry(
    flow: Flow,
    *more: bytes,
    protocol: int | None = None,
    extra: bytes = b"",
    answered: bool = False,
) -> bytes:
    """Return the body of an answer, as the kernel orders its attributes."""
    zone = attribute(_ZONE, flow.zone.to_bytes(2, "big")) if flow.zone and not extra else b""
    parts = [
        netfilter(2 if len(flow.source) == 4 else 10),
        ends(1, flow, protocol=protocol, extra=extra),
        ends(2, flow, protocol=protocol),
        zone,
        attribute(_STATUS, (2 * answered).to_bytes(4, "big")),
        attribute(_TIMEOUT, bytes(4)),
        *more,
        attribute(_MARK, bytes(4)),
        attribute(_ID, flow.id.to_bytes(4, "big")),
        attribute(_USE, bytes(4)),
    ]
    return b"".join(parts)

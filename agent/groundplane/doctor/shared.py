"""Rules of others that write what our rules keep in a packet or its connection. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from groundplane.doctor.facts import Finding
from groundplane.doctor.ruleset import Ruleset
from groundplane.kernel import owned
from groundplane.project.state import NodeBase

_ALL: Final = 0xFFFFFFFF  # the bits of a mark
_LABELS: Final = {
    owned.MASQUERADED_LABEL: "that it masquerades: connections with it lose their client's address",
    owned.IPVS_LABEL: "that it has given to IPVS: connections with it are led to IPVS",
}


def shared(base: NodeBase, ruleset: Ruleset) -> Iterator[Finding]:
    """Yield a finding for each such rule; for marks only where IPVS balances, which goes by them."""
    for chain in ruleset.foreign():
        for rule in ruleset.rules.get(chain.key, ()):
            for expression in rule.expressions:
                mangle = expression.get("mangle")
                if isinstance(mangle, dict):
                    yield from _written(base, str(chain), mangle)


def _written(base: NodeBase, where: str, mangle: Mapping[str, Any]) -> Iterator[Finding]:
    key, value = mangle.get("key", {}), mangle.get("value")
    written = key.get("meta", {}).get("key")
    if written == "priority":
        yield Finding(
            "info",
            where,
            "It sets the priority of packets (meta priority), which carries our choice of the "
            "endpoint: the first packet of a service's connection loses it.",
            "Set it in a postrouting chain of priority 101 or more if that packet's matters.",
        )
    elif written == "mark" and base.proxy_mode == "ipvs":
        yield from _mark(where, value)
    elif key.get("ct", {}).get("key") == "label":
        for label in sorted(_labels(value) & _LABELS.keys()):
            yield Finding(
                "info",
                where,
                f"It sets label {label} of connections, by which groundplane knows those "
                f"{_LABELS[label]}.",
                "Let that rule use another label.",
            )


def _mark(where: str, value: Any) -> Iterator[Finding]:
    """Yield what a rule does that makes a packet's mark *value*."""
    kept, added = _bits(value)
    ours, mark = owned.IPVS_MARK_MASK, owned.IPVS_MARK
    if added is not None and added & ours == mark and not kept & ours:
        yield Finding(
            "error",
            where,
            f"It gives packets the mark {added:#x}, by which groundplane leads them to IPVS "
            f"({mark:#x}/{ours:#x}): they are refused.",
            "Let that rule use another mark.",
        )
    elif kept & ours != ours or (added or 0) & ours:
        yield Finding(
            "info",
            where,
            f"It writes bits of a packet's mark that lead to IPVS ({mark:#x}/{ours:#x}): a packet "
            "of a service that it sees after groundplane's rules is not led there.",
            f"Let that rule keep these bits: `meta mark set meta mark and {_ALL & ours:#x} or MARK`.",
        )


def _bits(value: Any) -> tuple[int, int | None]:
    """Return the bits of the mark that are kept, and those that are added; None: not known."""
    if isinstance(value, int):
        return 0, value
    if not isinstance(value, dict):
        return 0, None
    if value.get("meta", {}).get("key") == "mark":
        return _ALL, 0
    for operator, operands in value.items():
        match operator, operands:
            case "&", [inner, int(mask)]:
                kept, added = _bits(inner)
                return kept & mask, None if added is None else added & mask
            case "|" | "^", [inner, int(bits)]:
                kept, added = _bits(inner)
                return kept, None if added is None else added | bits
    return 0, None


def _labels(value: Any) -> set[int]:
    listed = value if isinstance(value, list) else [value]
    plain = (each for each in listed if isinstance(each, int | str))
    return {int(each) for each in plain if str(each).isdigit()}

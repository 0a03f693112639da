"""Foreign rules that overwrite marks or labels our rules keep in packets or connections. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from groundplane.diagnosis.facts import Finding
from groundplane.diagnosis.ruleset import Ruleset
from groundplane.kernel import owned
from groundplane.proxies import proxies

_PLUMBING: Final = {
    owned.MASQUERADED_LABEL: "that it masquerades: connections with it lose their client's address",
}


def shared(ruleset: Ruleset) -> Iterator[Finding]:
    """Yield a finding for each such rule, whatever the node's proxy mode."""
    labels = dict(_PLUMBING)
    for each in proxies():
        labels |= each.labels
    for where, mangle in ruleset.foreign_mangles():
        yield from _written(labels, where, mangle)


def _written(labels: Mapping[int, str], where: str, mangle: Mapping[str, Any]) -> Iterator[Finding]:
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
    elif key.get("ct", {}).get("key") == "label":
        for label in sorted(_labels(value) & labels.keys()):
            yield Finding(
                "info",
                where,
                f"It sets label {label} of connections, by which groundplane knows those "
                f"{labels[label]}.",
                "Let that rule use another label.",
            )


def _labels(value: Any) -> set[int]:
    listed = value if isinstance(value, list) else [value]
    plain = (each for each in listed if isinstance(each, int | str))
    return {int(each) for each in plain if str(each).isdigit()}

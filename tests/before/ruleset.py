"""The ruleset of the version before this one, which had one table for plumbing and services."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from groundplane.dataplanes.nftables.maps import BY_CODE, map_of
from groundplane.dataplanes.nftables.text import NAMES
from groundplane.kernel import owned
from groundplane.net.address import BITS, family_of, from_int
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase, NodeState
from groundplane.proxies.frontends.handle import DROP, LOCAL_POOL, REFUSE
from groundplane.proxies.nftables.classes import DRAWS, EXACT, HASH, SIZES, TIMEOUT_SHIFT
from groundplane.proxies.nftables.rules import AFFINITY_SIZE
from groundplane.site.map_limits import HASH_SEED, HASH_SLOTS
from groundplane.site.map_sizes import RANGE_STEP
from tests.rulesets import render

DIGEST = "0123456789abcdef"  # no framework of this version has it


def one_table(state: NodeState) -> str:
    """Return a file for `nft -f` that has all of *state* in one table, and no other table of ours.

    *state* has neither IPVS nor an overlay.
    """
    removals = [
        f"add table {family} {name}\ndelete table {family} {name}\n"
        for name, families in (
            (owned.TABLE, ("ip", "ip6", "bridge")),
            (owned.SERVICES_TABLE, ("ip", "ip6")),
        )
        for family in families
    ]
    return "".join([*removals, _framework(state.base), *_elements(state)])


def _framework(base: NodeBase) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("one-table.nft.j2").render(
        affinity_size=AFFINITY_SIZE,
        base=base,
        classes=list(_classes(base)),
        digest=DIGEST,
        draws=DRAWS,
        exact=EXACT,
        families=[_family(base, family) for family in base.families],
        foreign=[],
        hash_seed=f"{HASH_SEED:#x}",
        hash_slots=HASH_SLOTS,
        owned=owned,
        sizes=SIZES,
        translate="meta l4proto { tcp, udp, sctp }",
    )


def _family(base: NodeBase, family: Family) -> dict[str, Any]:
    def of(texts: Sequence[str]) -> list[str]:
        return [text for text in texts if family_of(text) == family]

    bits, own = BITS[family], of(base.subnets)
    length = bits - int(own[0].partition("/")[2])
    lengths = range(RANGE_STEP, bits + 1, RANGE_STEP)
    halves = [f"jhash ip6 saddr mod 0xffffffff seed {seed}" for seed in (1, 2)]
    is_4 = family == "IPv4"
    return {
        "ip": NAMES[family],
        "icmp": "icmp" if is_4 else "icmpv6",
        "client": "ip saddr" if is_4 else " . ".join(halves),
        "client_type": "ip saddr" if is_4 else " . ".join(["numgen random mod 1"] * 2),
        "ranges": [(n, from_int((1 << bits) - (1 << bits - n), family)) for n in lengths],
        "bridge": of(base.bridge_addresses),
        "own": own,
        "services": of(base.service_cidrs),
        "external": of(base.external_cidrs),
        "subnet_mask": from_int((1 << bits) - (1 << length), family),
        "workloads": of(base.workload_cidrs),
        "not_masqueraded": of(
            (*base.workload_cidrs, *base.service_cidrs, *base.non_masquerade_cidrs)
        ),
    }


def _classes(base: NodeBase) -> Iterator[str]:
    for parity in (0, LOCAL_POOL):
        yield f"{parity | REFUSE:#x} : goto refuse"
        yield f"{parity | DROP:#x} : drop"
        yield f"{parity | HASH:#x} : goto consistent"
        for class_ in range(1, len(SIZES) + 1):
            yield f"{parity | class_:#x} : goto pick_{class_}"
            for number in range(1, len(base.affinity_timeouts) + 1):
                key = parity | number << TIMEOUT_SHIFT | class_
                yield f"{key:#x} : goto sticky_{'local_' if parity else ''}{number}"


def _elements(state: NodeState) -> Iterable[str]:
    by_map: dict[int, list[str]] = defaultdict(list)
    for part in state.parts:
        for element, data in render(state.base, part).items():
            by_map[element[0]].append(map_of(element).element_text(element, data))
    for code, texts in by_map.items():
        map_ = BY_CODE[code]
        yield (
            f"add element {map_.table.family} {owned.TABLE} {map_.name} {{ {', '.join(texts)} }}\n"
        )

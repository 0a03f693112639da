"""The lab: python -m groundplane_deploys.lab up|site|example|stop|down|status|tour|preflight.

Its nodes are those of the catalog in $GROUNDPLANE_SOURCE, or of the example's; others are given
with --node n1=192.168.50.11/24,fd50::11/64.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from groundplane.deploy_api import GroundplaneError
from groundplane_deploys.catalog import read_source, source_directory, source_files
from groundplane_deploys.lab import Lab, LabError, LabNode, down, preflight, status, stop, up
from groundplane_deploys.lab.repository import ensure_repository, update_repository
from groundplane_deploys.lab.site import has_example_servers, lab_of, own_lab
from groundplane_deploys.lab.tour import tour


def parse_node(text: str) -> LabNode:
    """Read NAME=ADDRESS/LENGTH[,ADDRESS/LENGTH]."""
    name, _, addresses = text.partition("=")
    return LabNode(name, _split(addresses))


def parse_arguments(argv: Sequence[str]) -> tuple[str, Lab]:
    default = own_lab()
    parser = argparse.ArgumentParser(prog="python -m groundplane_deploys.lab", description=__doc__)
    parser.add_argument(
        "verb", choices=("up", "site", "example", "stop", "down", "status", "tour", "preflight")
    )
    parser.add_argument("--node", action="append", default=[], metavar="NAME=ADDRESS/LENGTH,...")
    parser.add_argument("--prefix", default=default.prefix)
    parser.add_argument(
        "--gateway", default=",".join(default.gateway), metavar="ADDRESS/LENGTH,..."
    )
    parser.add_argument("--state", type=Path, default=default.state)
    parser.add_argument("--cache", type=Path, default=default.cache)
    given = parser.parse_args(argv)
    nodes = tuple(parse_node(text) for text in given.node)
    guests: tuple[LabNode, ...] = ()
    if not nodes and given.verb not in ("down", "preflight"):
        declared = lab_of(read_source())
        nodes, guests = declared.nodes, declared.guests
    clone = default.clone if given.prefix == default.prefix else None
    gateway = _split(given.gateway)
    return given.verb, Lab(
        given.prefix, gateway, nodes, given.state, given.cache, guests=guests, clone=clone
    )


def main(argv: Sequence[str]) -> int:
    """Exit 0 when done, 1 with the reason on stderr.

    3: status finds a node that is not up, or the workloads are not the example's.
    """
    try:
        verb, lab = parse_arguments(argv)
        if verb == "up":
            up(lab)
        elif verb == "site":
            _bring_site(lab)
        elif verb == "stop":
            stop(lab)
        elif verb == "down":
            down(lab)
        elif verb == "preflight":
            preflight(lab)
        elif verb == "tour":
            tour(lab)
        else:
            return _print_status(lab) if verb == "status" else _is_example()
    except (GroundplaneError, LabError) as error:
        for line in str(error).splitlines():
            print(f"lab: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `down` removes what there is", file=sys.stderr)
        return 130
    return 0


def _is_example() -> int:
    return 0 if has_example_servers(read_source()) else 3


def _bring_site(lab: Lab) -> None:
    """Create or update the lab's repository with the catalog in $GROUNDPLANE_SOURCE."""
    ensure_repository(lab, source_files())
    if source_directory().resolve() != lab.clone_dir.resolve():
        update_repository(lab, source_files())


def _print_status(lab: Lab) -> int:
    found = status(lab)
    for node in found:
        state = "up" if node.reachable else "no ssh" if node.running else "down"
        print(f"{node.name:<16} {state:<8} {' '.join(node.addresses)}")
    return 0 if all(node.reachable for node in found) else 3


def _split(addresses: str) -> tuple[str, ...]:
    return tuple(address for address in addresses.split(",") if address)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

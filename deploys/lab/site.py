"""The lab of a catalog: one machine for each of its Node documents."""

import os
from pathlib import Path

from deploys.lab.model import Lab, LabNode
from groundplane.model.address import family_of
from groundplane.model.catalog import Catalog

_LENGTHS = {"IPv4": 24, "IPv6": 64}


def lab_of(catalog: Catalog) -> Lab:
    """Return the lab of *catalog*; $GROUNDPLANE_LAB is its prefix, so that two can stand at once."""
    prefix = os.environ.get("GROUNDPLANE_LAB", "gp-lab")
    nodes = tuple(
        LabNode(
            node.name,
            tuple(f"{text}/{_LENGTHS[family_of(text)]}" for text in node.spec.addresses),
        )
        for node in catalog.nodes.values()
    )
    return Lab(prefix=prefix, nodes=nodes, state=Path("/var/lib/groundplane-lab") / prefix)

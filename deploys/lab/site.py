"""The lab of a catalog: one machine for each of its Node documents."""

import os
from dataclasses import replace
from pathlib import Path

from deploys.lab.model import Lab, LabNode
from deploys.lab.services import ROOT
from groundplane.model.address import family_of
from groundplane.model.catalog import Catalog

_LENGTHS = {"IPv4": 24, "IPv6": 64}


def own_lab() -> Lab:
    """Return the lab without nodes; $GROUNDPLANE_LAB is its prefix, so that two can stand at once.

    The clone of the usual one is where a person finds it: lab/site in the checkout.
    """
    prefix = os.environ.get("GROUNDPLANE_LAB", Lab.prefix)
    clone = ROOT / "lab" / "site" if prefix == Lab.prefix else None
    return Lab(prefix=prefix, state=Path(f"/var/lib/groundplane-{prefix}"), clone=clone)


def lab_of(catalog: Catalog) -> Lab:
    """Return the lab with a node for each Node document of *catalog*."""
    nodes = tuple(
        LabNode(
            node.name,
            tuple(f"{text}/{_LENGTHS[family_of(text)]}" for text in node.spec.addresses),
        )
        for node in catalog.nodes.values()
    )
    return replace(own_lab(), nodes=nodes)

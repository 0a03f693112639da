"""The nftables dataplane: constant rules; all variable data are map elements. See README.md."""

from groundplane.dataplanes.nftables.kernel import Nftables
from groundplane.dataplanes.nftables.rules import Rules
from groundplane.dataplanes.nftables.text import TABLES, ruleset

__all__ = ["TABLES", "Nftables", "Rules", "ruleset"]

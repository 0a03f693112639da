"""The nftables dataplane: constant rules, everything else map elements. See README.md here."""

from groundplane.dataplanes.nftables.kernel import Nftables
from groundplane.dataplanes.nftables.rules import Rules
from groundplane.dataplanes.nftables.text import TABLES, ruleset

__all__ = ["TABLES", "Nftables", "Rules", "ruleset"]

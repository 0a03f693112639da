"""The IPVS dataplane: virtual servers, to which constant rules lead. See README.md here."""

from groundplane.dataplanes.ipvs.plane import Ipvs
from groundplane.dataplanes.ipvs.render import render
from groundplane.dataplanes.ipvs.steering import rules as steering_rules
from groundplane.dataplanes.ipvs.text import rules

__all__ = ["Ipvs", "render", "rules", "steering_rules"]

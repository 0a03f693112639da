"""The IPVS dataplane: virtual servers, to which constant rules lead. See README.md here."""

from groundplane.dataplanes.ipvs.plane import Ipvs, count_servers, remove_servers
from groundplane.dataplanes.ipvs.render import render
from groundplane.dataplanes.ipvs.steering import is_there as leads_to_ipvs
from groundplane.dataplanes.ipvs.steering import let_go as let_go_of_ipvs
from groundplane.dataplanes.ipvs.steering import rules as steering_rules
from groundplane.dataplanes.ipvs.text import rules

__all__ = [
    "Ipvs",
    "count_servers",
    "leads_to_ipvs",
    "let_go_of_ipvs",
    "remove_servers",
    "render",
    "rules",
    "steering_rules",
]

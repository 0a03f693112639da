"""The DNS dataplane: zones of the Kubernetes DNS specification, served by the node's BIND 9."""

from groundplane.dataplanes.dns.bind import Bind
from groundplane.dataplanes.dns.classless import classless_files, is_classless
from groundplane.dataplanes.dns.records import Record, render
from groundplane.dataplanes.dns.zones import server_config, zone_file, zones_of

__all__ = [
    "Bind",
    "Record",
    "classless_files",
    "is_classless",
    "render",
    "server_config",
    "zone_file",
    "zones_of",
]

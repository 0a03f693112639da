"""The DNS dataplane: zones of the Kubernetes DNS specification, served by the node's BIND 9."""

from groundplane.dataplanes.dns.bind import Bind
from groundplane.dataplanes.dns.classless import classless_files, is_classless
from groundplane.dataplanes.dns.config import server_config
from groundplane.dataplanes.dns.local import local_files
from groundplane.dataplanes.dns.records import Record, render
from groundplane.dataplanes.dns.zones import zone_file, zones_of

__all__ = [
    "Bind",
    "Record",
    "classless_files",
    "is_classless",
    "local_files",
    "render",
    "server_config",
    "zone_file",
    "zones_of",
]

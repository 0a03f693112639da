"""The API for deploys: the declared site, and the desired state of its nodes.

The deploys (`groundplane_deploys`) import only this module of the package; a site's own deploys
can do the same. These names are stable; their implementations may move.
"""

from groundplane.agent.store import SERIALS_FILE
from groundplane.allocate import require_current
from groundplane.cli import main
from groundplane.compile.pipeline import allocate_source, compile_source, read_catalog
from groundplane.dataplanes.dns.config import (
    CONFIG_FILE,
    KEY_FILE,
    KEY_NAME,
    REBUILD_REQUEST,
    REBUILD_SCRIPT,
    negative_trust_anchors,
    rebuild_script,
    resolved_conf,
    server_config,
)
from groundplane.dataplanes.dns.local import LOCAL_DIRECTORY, local_files
from groundplane.dataplanes.dns.serials import first_serials
from groundplane.dataplanes.dns.zones import JOURNAL_DIRECTORY, ZONE_DIRECTORY
from groundplane.dataplanes.links import network_units, overlay_unit
from groundplane.dataplanes.links.units import WIREGUARD_KEY
from groundplane.doctor import exposed
from groundplane.documents.catalog import Catalog
from groundplane.documents.machine import (
    Hypervisor,
    Image,
    ImageBuild,
    Network,
    Signature,
    Uplink,
    Vm,
    quantity,
)
from groundplane.documents.site import Node
from groundplane.errors import GroundplaneError, SourceError
from groundplane.inventory import Host, groups, hosts, known_hosts
from groundplane.kernel.owned import BRIDGE, OVERLAY, ROUTE_PROTOCOL
from groundplane.load import IGNORE_FILE, tree_of
from groundplane.net.address import BITS, family_of, pack
from groundplane.node.config_files import zone_files
from groundplane.node.workload_netns import PORT, TUNNELS, entry_of
from groundplane.processes.own_command import own_command
from groundplane.project import NodeState, project
from groundplane.project.dsr import dsr_addresses
from groundplane.project.state import LocalWorkload, NodeBase
from groundplane.proxies import Openings, proxies, proxy_of
from groundplane.rendering import render_template
from groundplane.site import compiled
from groundplane.site.encoding import encode
from groundplane.site.snapshot import revision_of
from groundplane.sources.url import GitUrl
from groundplane.sources.url import parse as parse_source

__all__ = [  # noqa: RUF022 - in groups
    # Documents, and their compiled form.
    "require_current",
    "allocate_source",
    "compile_source",
    "read_catalog",
    "Catalog",
    "Hypervisor",
    "Image",
    "ImageBuild",
    "Network",
    "Signature",
    "Uplink",
    "Vm",
    "quantity",
    "Node",
    "GroundplaneError",
    "SourceError",
    "IGNORE_FILE",
    "tree_of",
    "compiled",
    "encode",
    "revision_of",
    # Machines, and sources of a site.
    "Host",
    "groups",
    "hosts",
    "known_hosts",
    "GitUrl",
    "parse_source",
    # The desired state of a node.
    "NodeState",
    "project",
    "dsr_addresses",
    "LocalWorkload",
    "NodeBase",
    "exposed",
    "Openings",
    "proxies",
    "proxy_of",
    "BRIDGE",
    "OVERLAY",
    "ROUTE_PROTOCOL",
    "BITS",
    "family_of",
    "pack",
    # Its files and units.
    "SERIALS_FILE",
    "CONFIG_FILE",
    "KEY_FILE",
    "KEY_NAME",
    "REBUILD_REQUEST",
    "REBUILD_SCRIPT",
    "negative_trust_anchors",
    "rebuild_script",
    "resolved_conf",
    "server_config",
    "LOCAL_DIRECTORY",
    "local_files",
    "first_serials",
    "JOURNAL_DIRECTORY",
    "ZONE_DIRECTORY",
    "network_units",
    "overlay_unit",
    "WIREGUARD_KEY",
    "zone_files",
    "PORT",
    "TUNNELS",
    "entry_of",
    "render_template",
    # The command itself.
    "main",
    "own_command",
]

"""The links dataplane: the node's bridge as systemd-networkd's files, and the routes to peers.

The deploy writes the files, networkd creates the bridge; the agent owns the routes and recognizes
them after a restart by their own route protocol number.
"""

from groundplane.dataplanes.links.route import Route
from groundplane.dataplanes.links.routes import Links, render
from groundplane.dataplanes.links.units import network_units, overlay_unit, resolv_conf

__all__ = ["Links", "Route", "network_units", "overlay_unit", "render", "resolv_conf"]

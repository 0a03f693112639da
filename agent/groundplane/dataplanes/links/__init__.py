"""The links dataplane: the node's bridge as systemd-networkd's files, and the routes to peers.

The deploy writes the files, networkd makes the bridge; the agent owns the routes, under a route
protocol number of its own, by which it knows them after a restart.
"""

from groundplane.dataplanes.links.route import Route
from groundplane.dataplanes.links.routes import Links, render
from groundplane.dataplanes.links.units import network_units, overlay_unit, resolv_conf

__all__ = ["Links", "Route", "network_units", "overlay_unit", "render", "resolv_conf"]

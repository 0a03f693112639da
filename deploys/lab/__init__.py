"""The lab: deployable machines on one host, as systemd-nspawn nodes on their own network."""

from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.lifecycle import NodeStatus, down, status, stop, up
from groundplane_deploys.lab.model import Lab, LabNode
from groundplane_deploys.lab.namespace import enter, entered
from groundplane_deploys.lab.preflight import PreflightError, preflight
from groundplane_deploys.lab.ssh import client_key, known_hosts, ssh_config

__all__ = [
    "Lab",
    "LabError",
    "LabNode",
    "NodeStatus",
    "PreflightError",
    "client_key",
    "down",
    "enter",
    "entered",
    "known_hosts",
    "preflight",
    "ssh_config",
    "status",
    "stop",
    "up",
]

"""Removal of a node: delete everything that the deploys and the agent installed.

Packages stay. sysctl settings stay in effect until the next boot.
"""

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.facts.files import File
from pyinfra.operations import files, server, systemd

from groundplane.deploy_api import (
    BRIDGE,
    CONFIG_FILE,
    KEY_FILE,
    LOCAL_DIRECTORY,
    OVERLAY,
    ZONE_DIRECTORY,
)
from groundplane_deploys.catalog import read_source
from groundplane_deploys.exec_probes import UNIT as EXEC_UNIT
from groundplane_deploys.exec_probes import USER as EXEC_USER
from groundplane_deploys.facts.machine import NetnsUnits
from groundplane_deploys.machine.defaults import DEFAULTS, STATE_DIRECTORY
from groundplane_deploys.machine.links import CONNTRACK_FILE, OVERLAY_UNIT
from groundplane_deploys.machine.name_server import JOURNALS_UNIT, REBUILD_PATH, REBUILD_SERVICE
from groundplane_deploys.operations import dns
from groundplane_deploys.operations import links as link_operations
from groundplane_deploys.operations.firewall import closed
from groundplane_deploys.operations.refusal import refuse
from groundplane_deploys.units import remove_unit

AGENT = "groundplane-agent.service"
_AGENT_FILE = f"/etc/systemd/system/{AGENT}"
_UNITS = (AGENT, EXEC_UNIT, "groundplane-netns@.service", OVERLAY_UNIT)
_FILES = (
    "/etc/apt/preferences.d/groundplane",
    CONFIG_FILE,
    KEY_FILE,
    "/etc/iproute2/rt_protos.d/groundplane.conf",
    "/etc/modules-load.d/groundplane.conf",
    "/etc/sysctl.d/60-groundplane.conf",
    CONNTRACK_FILE,
    "/etc/systemd/networkd.conf.d/groundplane.conf",
    "/etc/systemd/resolved.conf.d/groundplane.conf",
    "/etc/dnssec-trust-anchors.d/groundplane.negative",
    "/etc/systemd/system/named.service.d/groundplane.conf",
    *(f"/etc/systemd/network/60-{link}.{kind}" for link in (BRIDGE, OVERLAY)
      for kind in ("netdev", "network")),
    *(f"/etc/systemd/system/{unit}" for unit in _UNITS),
)  # fmt: skip
_DIRECTORIES = (
    "/etc/groundplane",
    STATE_DIRECTORY,
    ZONE_DIRECTORY,
    LOCAL_DIRECTORY,
    "/run/groundplane",
)
# Made for files of ours, and others' where they hold more.
_PARENTS = (
    "/etc/netns",
    "/etc/dnssec-trust-anchors.d",
    "/etc/systemd/resolved.conf.d",
    "/etc/systemd/system/named.service.d",
)


@deploy("Removal", data_defaults={**DEFAULTS, "force": False})
def removed() -> None:
    """Remove the host from the site; it must be draining, or `--data force=true` is needed."""
    name = host.data.node_name
    state = read_source().nodes[name].spec.state
    if state != "drain" and host.data.force is not True:
        reason = (
            f"{name} has spec.state {state}: set it to drain, and let its clients go elsewhere, "
            "or say --data force=true"
        )
        refuse(name="Nothing is sent to the node any more", reason=reason)
        return
    _workloads()
    _agent(name)
    _name_server()
    closed(name="No firewall lets pass what is gone", links=(BRIDGE, OVERLAY))
    _links()
    gone = [files.file(name=f"{path} is gone", path=path, present=False) for path in _FILES]
    for path in (*_DIRECTORIES, host.data.environment_directory):
        files.directory(name=f"{path} is gone", path=path, present=False)
    files.link(
        name="groundplane is not on the PATH", path="/usr/local/bin/groundplane", present=False
    )
    for user in ("groundplane", EXEC_USER):
        server.user(name=f"The user {user} is gone", user=user, present=False)
    server.shell(
        name="systemd and networkd forget what is gone",
        commands=[
            f"rmdir --ignore-fail-on-non-empty {' '.join(_PARENTS)} 2>/dev/null || true",
            "systemctl daemon-reload",
            "systemctl try-restart systemd-networkd.service",
        ],
        _if=lambda: any(each.did_change() for each in gone),
    )


def _workloads() -> None:
    for unit in host.get_fact(NetnsUnits):
        systemd.service(
            name=f"{unit} is down, and stays so", service=unit, running=False, enabled=False
        )


def _agent(name: str) -> None:
    if not host.get_fact(File, path=_AGENT_FILE):
        return
    for unit in (AGENT, EXEC_UNIT):
        if host.get_fact(File, path=f"/etc/systemd/system/{unit}"):
            systemd.service(name=f"{unit} is off", service=unit, running=False, enabled=False)
    server.shell(
        name="Nothing of the agent's is left in the kernel",
        commands=[f"groundplane agent cleanup --without-dns --node {name}"],
    )


def _name_server() -> None:
    if host.get_fact(File, path=CONFIG_FILE):
        systemd.service(
            name="BIND does not run", service="named.service", running=False, enabled=False
        )
        for each in (REBUILD_PATH, REBUILD_SERVICE, JOURNALS_UNIT):
            remove_unit(each)
    dns.no_local_resolver(name="The node asks its own server no more")


def _links() -> None:
    if host.get_fact(File, path=f"/etc/systemd/system/{OVERLAY_UNIT}"):
        systemd.service(
            name="Nothing makes VXLAN's link",
            service=OVERLAY_UNIT,
            running=False,
            enabled=False,
        )
    for link in (OVERLAY, BRIDGE):
        link_operations.without(name=f"{link} is gone", link=link)

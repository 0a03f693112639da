"""A host that is not a node, and an endpoint that IPVS reaches by direct routing or by tunnels."""

from io import StringIO

from pyinfra import host, logger
from pyinfra.api import deploy
from pyinfra.api.operation import OperationMeta
from pyinfra.facts.files import File
from pyinfra.operations import files, server, systemd

from groundplane.deploy_api import ROUTE_PROTOCOL, render_template
from groundplane_deploys.catalog import compiled_site, read_source
from groundplane_deploys.facts.machine import LinkAddresses, Routes
from groundplane_deploys.operations.refusal import refuse
from groundplane_deploys.plan.dsr import LINK, DirectReturn, direct_return, node_with
from groundplane_deploys.units import put_unit, remove_unit
from groundplane_deploys.uploads import keep_uploads_private

UNIT = "groundplane-backend.service"
SCRIPT = "/etc/groundplane/backend"
SYSCTL_FILE = "/etc/sysctl.d/60-groundplane-backend.conf"
# Do not announce the services' addresses of this host on the link (ip-sysctl: arp_ignore).
SYSCTLS = {"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2}


@deploy("Backend")
def backend() -> None:
    """Configure the service addresses that reach this host; remove our settings if none does."""
    keep_uploads_private()  # its hosts may be in no inventory of ours
    read_source()
    site, links = compiled_site(), host.get_fact(LinkAddresses)
    node = node_with(site, links)
    if node:
        refuse(
            name="The host is not a node", reason=f"it is Node/{node}: deploys/node.py is for it"
        )
        return
    wanted = direct_return(site, links)
    if wanted.addresses:
        _have(wanted, links.get(LINK, []))
    elif host.get_fact(File, path=SCRIPT):
        _remove()
    else:
        host.log_styled(
            "no service is sent on to this host: no EndpointSlice of one names its addresses",
            fg="yellow",
            log_func=logger.warning,
        )


def _have(wanted: DirectReturn, there: list[str]) -> None:
    for key, value in SYSCTLS.items():
        server.sysctl(
            name=f"{key} is {value}",
            key=key,
            value=value,
            persist=True,
            persist_file=SYSCTL_FILE,
        )
    script = _put(wanted)
    unit = put_unit(UNIT, render_template("groundplane-backend.service.j2", script=SCRIPT))
    as_declared = {*wanted.addresses} == {*there} and wanted.routes == host.get_fact(
        Routes, protocol=ROUTE_PROTOCOL
    )
    systemd.service(
        name="The host answers by the services' addresses",
        service=UNIT,
        restarted=True,
        _if=lambda: not as_declared or script.did_change() or unit.did_change(),
    )
    systemd.service(name="It does after a boot, too", service=UNIT, running=True, enabled=True)


def _put(wanted: DirectReturn) -> OperationMeta:
    return files.put(
        name=f"{SCRIPT} says what comes to the host",
        src=StringIO(wanted.script),
        dest=SCRIPT,
        mode="755",
    )


def _remove() -> None:
    _put(DirectReturn())
    server.shell(name="The host answers by no service's address", commands=[SCRIPT])
    remove_unit(UNIT)
    for path in (SCRIPT, SYSCTL_FILE):
        files.file(name=f"{path} is gone", path=path, present=False)

"""BIND for the site's zones, and the node as its client."""

from io import StringIO

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.api.operation import OperationMeta
from pyinfra.facts.files import Link
from pyinfra.operations import files, systemd

from groundplane.deploy_api import (
    CONFIG_FILE,
    JOURNAL_DIRECTORY,
    KEY_FILE,
    KEY_NAME,
    LOCAL_DIRECTORY,
    REBUILD_REQUEST,
    REBUILD_SCRIPT,
    ZONE_DIRECTORY,
    NodeBase,
    NodeState,
    local_files,
    negative_trust_anchors,
    rebuild_script,
    render_template,
    resolved_conf,
    server_config,
    zone_files,
)
from groundplane_deploys.catalog import node_state
from groundplane_deploys.facts.files import FirstSerials
from groundplane_deploys.machine.defaults import DEFAULTS, SERIALS
from groundplane_deploys.operations import dns
from groundplane_deploys.units import put_unit

REBUILD_SERVICE, REBUILD_PATH = "groundplane-zones.service", "groundplane-zones.path"
JOURNALS_UNIT = "var-lib-bind-groundplane-journals.mount"  # systemd.mount(5): as the path


@deploy("DNS", data_defaults=DEFAULTS)
def name_server() -> None:
    """Run BIND for the site's zones, and have the node ask it."""
    state = node_state(host.data.node_name)
    config = _zones(state)
    files.put(
        name="Zones that do not load can be rebuilt",
        src=StringIO(rebuild_script(state.base)),
        dest=REBUILD_SCRIPT,
        mode="755",
    )
    _running(config)
    _rebuilding()
    _resolver(state.base)


def _zones(state: NodeState) -> OperationMeta:
    """Give BIND its key, its configuration and zones that it loads."""
    dns.tsig_key(
        name="There is a key for zone updates",
        path=KEY_FILE,
        key_name=KEY_NAME,
        user="groundplane",
        group="bind",
    )
    files.directory(
        name="Zones have a directory", path=ZONE_DIRECTORY, user="bind", group="bind", mode="755"
    )
    # A reinstalled server continues after the serials that its predecessor served.
    serials = host.get_fact(FirstSerials, path=SERIALS)
    return dns.configured(
        name="BIND has a configuration and zones that it loads",
        config=CONFIG_FILE,
        text=server_config(state.base),
        files={
            f"{LOCAL_DIRECTORY}/{zone}.zone": text for zone, text in local_files(state.base).items()
        },
        zones={
            f"{ZONE_DIRECTORY}/{file}": (
                f"{JOURNAL_DIRECTORY}/{file.removesuffix('.zone')}.jnl",
                text,
            )
            for name, text in zone_files(state, serials).items()
            for file in (name.removeprefix("zones/"),)
        },
        owner="bind:bind",
    )


def _running(config: OperationMeta) -> None:
    """Run BIND; restart it if its configuration *config* or a unit changed."""
    names = {"journals": JOURNAL_DIRECTORY, "mount": JOURNALS_UNIT, "script": REBUILD_SCRIPT}
    mount = put_unit(JOURNALS_UNIT, render_template("journals.mount.j2", **names))
    unit = put_unit(
        "named.service.d/groundplane.conf", render_template("named.service.d.conf.j2", **names)
    )
    systemd.service(
        name="BIND uses its new configuration",
        service="named.service",
        restarted=True,
        _if=lambda: any(each.did_change() for each in (config, mount, unit)),
    )
    systemd.service(name="BIND runs", service="named.service", running=True, enabled=True)


def _resolver(base: NodeBase) -> None:
    """Make the node itself use BIND, through systemd-resolved if that is its resolver."""
    resolver_link = host.get_fact(Link, path="/etc/resolv.conf")
    if not (resolver_link and "systemd/resolve" in resolver_link["link_target"]):
        dns.local_resolver_first(name="The node asks its own server first")
        return
    routed = files.put(
        name="systemd-resolved asks the node's own server for the site's zones",
        src=StringIO(resolved_conf(base)),
        dest="/etc/systemd/resolved.conf.d/groundplane.conf",
        mode="644",
    )
    trusted = files.put(
        name="systemd-resolved does not validate the site's zones",
        src=StringIO(negative_trust_anchors(base)),
        dest="/etc/dnssec-trust-anchors.d/groundplane.negative",
        mode="644",
    )
    systemd.service(
        name="systemd-resolved uses its new configuration",
        service="systemd-resolved.service",
        restarted=True,
        _if=lambda: routed.did_change() or trusted.did_change(),
    )


def _rebuilding() -> None:
    """Have zones rebuilt at the agent's request."""
    put_unit(REBUILD_SERVICE, render_template(f"{REBUILD_SERVICE}.j2", script=REBUILD_SCRIPT))
    path = put_unit(REBUILD_PATH, render_template(f"{REBUILD_PATH}.j2", request=REBUILD_REQUEST))
    systemd.service(
        name="Requests to rebuild zones are seen",
        service=REBUILD_PATH,
        running=True,
        enabled=True,
    )
    systemd.service(
        name="They are seen where they are made now",
        service=REBUILD_PATH,
        restarted=True,
        _if=path.did_change,
    )

"""BIND for the site's zones, and the node as its client."""

from io import StringIO

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.facts.files import Link
from pyinfra.operations import files, systemd

from deploys.catalog import node_state
from deploys.facts.files import FirstSerials
from deploys.machine.defaults import DEFAULTS, SERIALS
from deploys.operations import dns
from deploys.units import put_unit
from groundplane.dataplanes.dns.config import KEY_FILE, KEY_NAME, resolved_conf, server_config
from groundplane.dataplanes.dns.zones import JOURNAL_DIRECTORY, ZONE_DIRECTORY
from groundplane.files import zone_files
from groundplane.rendering import render_template

JOURNALS_UNIT = "var-lib-bind-groundplane-journals.mount"  # systemd.mount(5): as the path


@deploy("DNS", data_defaults=DEFAULTS)
def name_server() -> None:
    """Run BIND for the site's zones, and have the node ask it."""
    state = node_state(host.data.node_name)
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
    # A server that is installed anew goes on after the serials that the one before it served.
    serials = host.get_fact(FirstSerials, path=SERIALS)
    for name, text in zone_files(state, serials).items():
        zone = name.removeprefix("zones/")
        dns.seed(
            name=f"{zone} is there",
            path=f"{ZONE_DIRECTORY}/{zone}",
            journal=f"{JOURNAL_DIRECTORY}/{zone.removesuffix('.zone')}.jnl",
            content=text,
        )
    config = files.put(
        name="BIND has its configuration",
        src=StringIO(server_config(state.base)),
        dest="/etc/bind/groundplane.conf",
        mode="644",
    )
    names = {"journals": JOURNAL_DIRECTORY, "mount": JOURNALS_UNIT}
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
    resolver_link = host.get_fact(Link, path="/etc/resolv.conf")
    if resolver_link and "systemd/resolve" in resolver_link["link_target"]:
        routed = files.put(
            name="systemd-resolved asks the node's own server for the site's zones",
            src=StringIO(resolved_conf(state.base)),
            dest="/etc/systemd/resolved.conf.d/groundplane.conf",
            mode="644",
        )
        systemd.service(
            name="systemd-resolved uses its new configuration",
            service="systemd-resolved.service",
            restarted=True,
            _if=routed.did_change,
        )
    else:
        dns.local_resolver_first(name="The node asks its own server first")

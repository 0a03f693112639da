"""What a node must be: packages, sysctls, the workload bridge, BIND, and the agent."""

from io import StringIO

from pyinfra import host
from pyinfra.api import DeployError, deploy
from pyinfra.facts.files import Link
from pyinfra.facts.server import Arch
from pyinfra.operations import apt, files, server, systemd

from deploys.catalog import node_state, source_files
from deploys.exec_probes import exec_helper
from deploys.facts.files import BindVersion, FirstSerials, PythonVersion
from deploys.operations import catalog, dns, environment, trust
from deploys.source import TRUST_DIRECTORY, BadSource, Source, source_of
from deploys.wheelhouse import wheelhouse_for
from groundplane.agent.store import SERIALS_FILE
from groundplane.dataplanes.dns.zones import (
    KEY_FILE,
    KEY_NAME,
    ZONE_DIRECTORY,
    resolved_conf,
    server_config,
)
from groundplane.dataplanes.links.routes import PROTOCOL
from groundplane.dataplanes.links.units import network_units
from groundplane.files import zone_files
from groundplane.rendering import render_template

TLS_TO_FORWARDERS = (9, 20)  # the first BIND that asks them so
STATE_DIRECTORY = "/var/lib/groundplane"
DEFAULTS = {
    "packages": [
        "bind9", "bind9-utils", "conntrack", "iproute2", "nftables", "python3"
    ],
    "catalog_directory": "/etc/groundplane/catalog",
    # Of a central source: its URL, and files of this machine by their names in the trust directory.
    "source": "",
    "trust": {},
    "source_packages": ["ca-certificates", "git", "openssh-client"],
    # Absolute paths of programs on the node that exec probes may run; none: exec probes are off.
    "exec_probes": [],
    "environment_directory": "/opt/groundplane",
}  # fmt: skip

SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    # A workload must not learn that its neighbour is on the same link: all packets pass the node.
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
}


@deploy("Packages and user", data_defaults=DEFAULTS)
def prepare() -> None:
    """Install Debian's packages and make the agent's user."""
    apt.packages(
        name="Packages of the dataplanes are installed",
        packages=host.data.packages,
        no_recommends=True,
    )
    if _source().url:
        apt.packages(
            name="Packages of a central source are installed",
            packages=host.data.source_packages,
            no_recommends=True,
        )
    server.user(
        name="The agent has a user of its own",
        user="groundplane",
        system=True,
        shell="/usr/sbin/nologin",
        home=STATE_DIRECTORY,
        ensure_home=False,
    )


@deploy("Links", data_defaults=DEFAULTS)
def links() -> None:
    """Make the workload bridge, forwarding, and the name of our route protocol."""
    for key, value in SYSCTLS.items():
        server.sysctl(
            name=f"{key} is {value}",
            key=key,
            value=value,
            persist=True,
            persist_file="/etc/sysctl.d/60-groundplane.conf",
        )
    files.put(
        name="Our route protocol has a name",
        src=StringIO(f"{PROTOCOL}\tgroundplane\n"),
        dest="/etc/iproute2/rt_protos.d/groundplane.conf",
        mode="644",
    )
    foreign = files.put(
        name="networkd leaves the agent's routes alone",
        src=StringIO("[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n"),
        dest="/etc/systemd/networkd.conf.d/groundplane.conf",
        mode="644",
    )
    units = [
        files.put(
            name=f"networkd has {name}",
            src=StringIO(text),
            dest=f"/etc/systemd/network/{name}",
            mode="644",
        )
        for name, text in network_units(node_state(host.data.node_name).base).items()
    ]
    systemd.service(
        name="networkd runs",
        service="systemd-networkd.service",
        running=True,
        enabled=True,
    )
    systemd.service(
        name="networkd reads its configuration again",
        service="systemd-networkd.service",
        restarted=True,
        _if=foreign.did_change,
    )
    server.shell(
        name="networkd makes the bridge as declared",
        commands=["networkctl reload", "networkctl reconfigure groundplane0 || true"],
        _if=lambda: any(unit.did_change() for unit in units),
    )


@deploy("DNS", data_defaults=DEFAULTS)
def name_server() -> None:
    """Run BIND for the site's zones, and have the node ask it."""
    state = node_state(host.data.node_name)
    version = host.get_fact(BindVersion)
    if state.base.tls_server_name and version < TLS_TO_FORWARDERS:
        raise DeployError(
            f"spec.dns.tlsServerName needs BIND {_dotted(TLS_TO_FORWARDERS)} or later; "
            f"here is {_dotted(version)}"
        )
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
    serials = host.get_fact(FirstSerials, path=f"{STATE_DIRECTORY}/{SERIALS_FILE}")
    for name, text in zone_files(state, serials).items():
        zone = name.removeprefix("zones/")
        dns.seed(name=f"{zone} is there", path=f"{ZONE_DIRECTORY}/{zone}", content=text)
    config = files.put(
        name="BIND has its configuration",
        src=StringIO(server_config(state.base)),
        dest="/etc/bind/groundplane.conf",
        mode="644",
    )
    unit = files.put(
        name="BIND's unit uses it",
        src=StringIO(render_template("named.service.d.conf.j2")),
        dest="/etc/systemd/system/named.service.d/groundplane.conf",
        mode="644",
    )
    systemd.daemon_reload(name="systemd knows BIND's unit", _if=unit.did_change)
    systemd.service(name="BIND runs", service="named.service", running=True, enabled=True)
    systemd.service(
        name="BIND uses its new configuration",
        service="named.service",
        restarted=True,
        _if=lambda: config.did_change() or unit.did_change(),
    )
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


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version)) if any(version) else "none"


@deploy("Agent", data_defaults=DEFAULTS)
def agent() -> None:
    """Install the agent, give it the catalog, and run it."""
    python, machine = host.get_fact(PythonVersion), host.get_fact(Arch)
    if not python:
        raise DeployError("python3 is not installed, and no package of it can be")
    directory = host.data.environment_directory
    wheels = wheelhouse_for(python, machine)
    installed = environment.install(
        name="The agent's Python environment is the locked one",
        wheelhouse=wheels,
        directory=directory,
    )
    files.link(
        name="groundplane is on the PATH",
        path="/usr/local/bin/groundplane",
        target=f"{directory}/current/bin/groundplane",
    )
    source = _source()
    if source.url:
        files.directory(
            name="The catalog is where the source is, and not here",
            path=host.data.catalog_directory,
            present=False,
        )
    else:
        catalog.put(
            name="The catalog is there as a whole",
            files=source_files(),
            dest=host.data.catalog_directory,
        )
    trusted = trust.put(
        name="The agent can prove who it is to its source, and the source to it",
        files=source.files,
        dest=TRUST_DIRECTORY,
        group="groundplane",
    )
    settings = files.put(
        name="The agent knows its node and its source",
        src=StringIO(
            f"GROUNDPLANE_NODE={host.data.node_name}\n"
            f"GROUNDPLANE_SOURCE={source.url or host.data.catalog_directory}\n"
        ),
        dest="/etc/groundplane/agent.env",
        mode="644",
    )
    units = [
        files.put(
            name=f"systemd has {unit}",
            src=StringIO(render_template(f"{unit}.j2", directory=directory)),
            dest=f"/etc/systemd/system/{unit}",
            mode="644",
        )
        for unit in ("groundplane-agent.service", "groundplane-netns@.service")
    ]
    systemd.daemon_reload(
        name="systemd knows the agent's units",
        _if=lambda: any(unit.did_change() for unit in units),
    )
    helper = exec_helper(host.data.exec_probes, directory, installed)
    systemd.service(
        name="The agent runs", service="groundplane-agent.service", running=True, enabled=True
    )
    deciding = [installed, settings, trusted, *units, *([helper] if helper else [])]
    systemd.service(
        name="The agent is the new one",
        service="groundplane-agent.service",
        restarted=True,
        _if=lambda: any(op.did_change() for op in deciding),
    )


def _source() -> Source:
    try:
        return source_of(host.data.source, host.data.trust)
    except BadSource as error:
        raise DeployError(str(error)) from None

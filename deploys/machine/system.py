"""The system below: its name, packages and their versions, clock, modules, the agent's user."""

from io import StringIO

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.operations import apt, files, server, systemd

from groundplane.deploy_api import NodeBase, proxy_of, render_template
from groundplane_deploys.catalog import node_state
from groundplane_deploys.facts.machine import TimeServices
from groundplane_deploys.machine.agent import central_source
from groundplane_deploys.machine.defaults import DEFAULTS, STATE_DIRECTORY
from groundplane_deploys.operations import packages as own


@deploy("System", data_defaults=DEFAULTS)
def system() -> None:
    """Set the host name, install Debian packages, ensure time sync, and create the agent's user."""
    server.hostname(name="The node has its name", hostname=host.data.node_name)
    _packages()
    _clock()
    modules = files.put(
        name="Kernel modules are loaded at boot",
        src=StringIO(
            render_template(
                "modules-load.conf.j2",
                base=_base(),
                modules=proxy_of(_base().proxy_mode).modules,
            )
        ),
        dest="/etc/modules-load.d/groundplane.conf",
        mode="644",
    )
    systemd.service(
        name="Kernel modules are loaded",
        service="systemd-modules-load.service",
        restarted=True,
        _if=modules.did_change,
    )
    server.user(
        name="The agent has a user of its own",
        user="groundplane",
        system=True,
        shell="/usr/sbin/nologin",
        home=STATE_DIRECTORY,
        ensure_home=False,
    )


def _base() -> NodeBase:
    return node_state(host.data.node_name).base


def _dataplanes() -> list[str]:
    """Return the packages of the dataplanes that the node has."""
    return [*host.data.packages, *proxy_of(_base().proxy_mode).packages]


def versions() -> None:
    """Pin the desired versions in apt, and install them."""
    pins = dict(host.data.package_versions)
    of_source = host.data.source_packages if central_source().url else ()
    packages = (*_dataplanes(), *of_source)
    files.put(
        name="apt keeps to the versions that are wanted",
        src=StringIO(render_template("apt-preferences.j2", versions=pins)),
        dest="/etc/apt/preferences.d/groundplane",
        mode="644",
    )
    own.listed(name="apt knows what there is to install", packages=packages, pins=pins)
    own.pinned(name="Packages have the versions that are wanted", packages=packages, pins=pins)


def _packages() -> None:
    versions()
    apt.packages(
        name="Packages of the dataplanes are installed",
        packages=_dataplanes(),
        no_recommends=True,
    )
    if central_source().url:
        apt.packages(
            name="Packages of a central source are installed",
            packages=host.data.source_packages,
            no_recommends=True,
        )


def _clock() -> None:
    """Ensure a synchronized clock: certificates, update signatures and logs need one."""
    if not host.get_fact(TimeServices):
        own.listed(name="apt knows of something that does", packages=("systemd-timesyncd",))
        apt.packages(
            name="Something sets the clock",
            packages=["systemd-timesyncd"],
            no_recommends=True,
        )

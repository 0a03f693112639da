"""The agent: its environment, its catalog or central source, its units."""

from collections.abc import Sequence
from io import StringIO

from pyinfra import host
from pyinfra.api import DeployError, deploy
from pyinfra.api.operation import OperationMeta
from pyinfra.facts.server import Arch
from pyinfra.operations import files, server, systemd

from groundplane.deploy_api import render_template
from groundplane_deploys.catalog import node_state, revision, source_files
from groundplane_deploys.exec_probes import exec_helper
from groundplane_deploys.facts.agent import DeclaredRevision
from groundplane_deploys.facts.files import PythonVersion
from groundplane_deploys.machine.defaults import DEFAULTS
from groundplane_deploys.operations import catalog, environment, trust, workload_links
from groundplane_deploys.plan.settings import BadAddress, listening_address
from groundplane_deploys.plan.settings import environment as environment_file
from groundplane_deploys.plan.source import TRUST_DIRECTORY, BadSource, Source, source_of
from groundplane_deploys.units import put_unit
from groundplane_deploys.wheelhouse import wheelhouse_for


@deploy("Agent", data_defaults=DEFAULTS)
def agent() -> None:
    """Install the agent, give it the catalog, and run it."""
    directory, source = host.data.environment_directory, central_source()
    installed = _environment(directory)
    _catalog(source)
    units = [
        put_unit(unit, render_template(f"{unit}.j2", directory=directory))
        for unit in ("groundplane-agent.service", "groundplane-netns@.service")
    ]
    deciding = [installed, *_settings(source), *units]
    if helper := exec_helper(host.data.exec_probes, directory, installed):
        deciding.append(helper)
    workload_links.connected(
        name="Workloads that run are connected as this version does it",
        workloads=node_state(host.data.node_name).base.workloads,
        node=host.data.node_name,
        program=f"{directory}/current/bin/groundplane",
    )
    _running(deciding)
    if host.data.agent_timeout:
        # A central source may have another revision than this machine.
        _well("" if source.url else revision(), deciding)


def _environment(directory: str) -> OperationMeta:
    """Install the agent's Python environment, whose program is on the PATH."""
    major, minor = host.get_fact(PythonVersion)
    wheels = wheelhouse_for(f"{major}.{minor}", host.get_fact(Arch))
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
    return installed


def _catalog(source: Source) -> None:
    """Put the catalog on the node, or remove it if the source is central."""
    if source.url:
        files.directory(
            name="The catalog is where the source is, and not here",
            path=host.data.catalog_directory,
            present=False,
        )
        return
    catalog.put(
        name="The catalog is there as a whole",
        files=source_files(),
        dest=host.data.catalog_directory,
        group="groundplane",
    )


def _settings(source: Source) -> tuple[OperationMeta, OperationMeta]:
    """Configure the agent's node name and source, and the credentials of both sides."""
    trusted = trust.put(
        name="The agent can prove who it is to its source, and the source to it",
        files=source.files,
        dest=TRUST_DIRECTORY,
        group="groundplane",
    )
    url = source.url or host.data.catalog_directory
    settings = files.put(
        name="The agent knows its node and its source",
        src=StringIO(environment_file(host.data.node_name, url, metrics_address())),
        dest="/etc/groundplane/agent.env",
        mode="644",
    )
    return settings, trusted


def _running(deciding: Sequence[OperationMeta]) -> None:
    """Run the agent; restart it if one of *deciding* changed."""
    systemd.service(
        name="Restart the agent after a change",
        service="groundplane-agent.service",
        restarted=True,
        _if=lambda: any(op.did_change() for op in deciding),
    )
    systemd.service(
        name="The agent runs", service="groundplane-agent.service", running=True, enabled=True
    )


def _well(wanted: str, deciding: Sequence[OperationMeta]) -> None:
    """Wait until the agent has applied the revision *wanted*, "" for any."""
    found = host.get_fact(DeclaredRevision)
    options = f" --revision {wanted}" if wanted else ""
    server.shell(
        name="The agent reports that all is as declared",
        commands=[f"groundplane agent wait --within {host.data.agent_timeout}{options}"],
        _if=lambda: (
            not found or wanted not in ("", found) or any(op.did_change() for op in deciding)
        ),
    )


def metrics_address() -> str:
    """Return the metrics address from host data; DeployError if it is not an address."""
    addresses = node_state(host.data.node_name).base.addresses
    try:
        return listening_address(host.data.metrics_address, addresses)
    except BadAddress as error:
        raise DeployError(str(error)) from None


def central_source() -> Source:
    """Return the central source from host data; DeployError if it is invalid."""
    try:
        return source_of(host.data.source, host.data.trust)
    except BadSource as error:
        raise DeployError(str(error)) from None

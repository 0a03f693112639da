"""Preflight: whether a host can be a node, checked before anything is changed."""

from collections.abc import Iterator

from pyinfra import host
from pyinfra.facts.server import Arch

from groundplane_deploys.catalog import node_state
from groundplane_deploys.facts.files import BindVersion, GlobalNameServers, PythonVersion
from groundplane_deploys.operations.refusal import refuse
from groundplane_deploys.wheelhouse import WheelhouseError, wheelhouse_for

_PYTHON = (3, 11)
_TLS_TO_FORWARDERS = (9, 20)  # the first BIND that asks them so


def is_fit() -> bool:
    """Return whether the host can be the node of its name; otherwise report all reasons."""
    reasons = [*_reasons()]
    if reasons:
        refuse(name="The host can be a node", reason="; ".join(reasons))
    return not reasons


def _reasons() -> Iterator[str]:
    bind, python = host.get_fact(BindVersion), host.get_fact(PythonVersion)
    if node_state(host.data.node_name).base.tls_server_name and bind < _TLS_TO_FORWARDERS:
        yield (
            f"spec.dns.tlsServerName needs BIND {_dotted(_TLS_TO_FORWARDERS)} or later; "
            f"here is {_dotted(bind)}"
        )
    for file, servers in host.get_fact(GlobalNameServers).items():
        yield (
            f"{file} gives systemd-resolved global name servers ({', '.join(servers)}), which it would "
            "ask for the site's names too; give them to a link ([Network] DNS= of systemd-networkd, "
            "ipv4.dns of NetworkManager), or to spec.dns.forwarders of the Cluster"
        )
    if python < _PYTHON:
        yield f"the agent needs Python {_dotted(_PYTHON)} or later; here is {_dotted(python)}"
    else:
        try:
            wheelhouse_for(_dotted(python), host.get_fact(Arch))
        except WheelhouseError as error:
            yield f"the agent's packages: {error}"


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version)) if any(version) else "none"

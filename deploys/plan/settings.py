"""The settings of an agent: the file of its environment."""

from collections.abc import Sequence

from groundplane.deploy_api import pack

OWN = "node"  # in place of an address: the first one of the node's document


class BadAddress(Exception):
    """The data of a host name something that no agent could listen on; its text is the message."""


def listening_address(text: str, addresses: Sequence[str]) -> str:
    """Return *text*, ADDRESS:PORT or "" for nowhere, for a node that has *addresses*.

    "node:PORT" stands for the first of them. Raises BadAddress.
    """
    if not text:
        return ""
    host, _, port = text.rpartition(":")
    if host == OWN:
        host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    try:
        pack(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
        if (":" in host) != host.startswith("[") or not 1 <= int(port) <= 65535:
            raise ValueError
    except ValueError:
        message = (
            f'metrics_address: "{text}" is neither ADDRESS:PORT, [ADDRESS]:PORT nor {OWN}:PORT'
        )
        raise BadAddress(message) from None
    return f"{host}:{port}"


def environment(node: str, source: str, metrics_address: str) -> str:
    """Return the text of agent.env."""
    return (
        f"GROUNDPLANE_NODE={node}\n"
        f"GROUNDPLANE_SOURCE={source}\n"
        f"GROUNDPLANE_METRICS_ADDRESS={metrics_address}\n"
    )

"""What links need besides networkd's files: WireGuard's private key, which is made on the node."""

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand, operation

from groundplane.deploy_api import WIREGUARD_KEY
from groundplane_deploys.facts.machine import LinkNames, WireGuardKey
from groundplane_deploys.operations.refusal import refusal


@operation()
def wireguard_key(public: str) -> Generator[FunctionCommand]:
    """Require the private key of *public* on the host; otherwise fail and name the actual key.

    `groundplane_deploys.machine.keys` generates the key; its public key is written into the
    catalog. Only networkd ever reads the private key.
    """
    there = host.get_fact(WireGuardKey, path=WIREGUARD_KEY)
    if not there:
        yield refusal(
            "the node has no key for WireGuard yet: run "
            "groundplane_deploys.machine.keys.wireguard_keys, which makes it and prints its public "
            "half for spec.wireguard.publicKey"
        )
    elif there != public:
        yield refusal(
            f"spec.wireguard.publicKey is {public}, but the key of the node itself is {there}"
        )
    else:
        host.noop("the private key is there")


@operation()
def make_wireguard_key() -> Generator[StringCommand]:
    """Create the private key file: generated on the host, once, and readable only by networkd."""
    if host.get_fact(WireGuardKey, path=WIREGUARD_KEY):
        host.noop("the private key is there")
        return
    file, new = QuoteString(WIREGUARD_KEY), QuoteString(f"{WIREGUARD_KEY}.new")
    yield StringCommand(
        "mkdir -p /etc/groundplane && (umask 077 && wg genkey >", new,
        ") && chown root:systemd-network", new, "&& chmod 640", new, "&& mv", new, file,
    )  # fmt: skip


@operation()
def without(link: str) -> Generator[StringCommand]:
    """Remove *link* if it exists."""
    if link not in host.get_fact(LinkNames):
        host.noop(f"there is no {link}")
        return
    yield StringCommand("ip link delete dev", QuoteString(link))

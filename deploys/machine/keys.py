"""Keys of nodes for WireGuard, made before the catalog can name their public halves.

`pyinfra INVENTORY groundplane_deploys.machine.keys.wireguard_keys` creates missing keys and prints
each public key.
"""

from pyinfra import host, logger
from pyinfra.api import deploy
from pyinfra.operations import apt, python

from groundplane.deploy_api import WIREGUARD_KEY
from groundplane_deploys.facts.machine import WireGuardKey
from groundplane_deploys.operations import links, packages


@deploy("WireGuard's keys")
def wireguard_keys() -> None:
    """Make a private key on every node that has none, and print the public ones."""
    packages.listed(name="apt knows what there is to install", packages=("wireguard-tools",))
    apt.packages(name="wg is installed", packages=["wireguard-tools"], no_recommends=True)
    links.make_wireguard_key(name="There is a private key")
    python.call(name="Print the public key", function=_tell)


def _tell() -> None:
    public = host.get_fact(WireGuardKey, path=WIREGUARD_KEY)
    logger.info("[%s] wireguard: {publicKey: %s}", host.name, public)

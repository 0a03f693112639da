"""Pins host keys where the deploy runs."""

from collections.abc import Generator
from pathlib import Path

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from groundplane.deploy_api import Catalog
from groundplane_deploys.facts.libvirt import PublicKeys
from groundplane_deploys.plan.libvirt import paths
from groundplane_deploys.vm_keys import format_known_hosts, pin


@operation()
def pinned(catalog: Catalog, pool: str, file: Path) -> Generator[FunctionCommand]:
    """Have the host keys of the VMs of *pool* in *file*, in the form of known_hosts."""
    keys = host.get_fact(PublicKeys, directory=paths.host_keys(pool))
    text = format_known_hosts(catalog, keys)
    if file.is_file() and file.read_text() == text:
        host.noop(f"{file} is up to date")
    else:
        yield FunctionCommand(pin, [file, text], {})

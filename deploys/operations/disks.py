"""The files of a VM: its disk, and the seed that cloud-init reads."""

import io
from collections.abc import Generator

from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from groundplane_deploys.facts.files import RealPath
from groundplane_deploys.facts.libvirt import Domains, PublicKeys, SeedDigests, Volumes
from groundplane_deploys.operations.virsh import virsh
from groundplane_deploys.plan.libvirt import paths
from groundplane_deploys.plan.libvirt.identity import pool_name
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.seed import LABEL, seed_of

Commands = Generator[FileUploadCommand | StringCommand]


@operation()
def disk(machine: Machine) -> Commands:
    """Create the disk of *machine*: an overlay of its image, grown to the declared size.

    An existing disk is never recreated, even if its image has changed.
    """
    path, size = machine.disk_path, str(machine.disk)
    there = host.get_fact(Volumes, paths=[path]).get(path)
    if there is None:
        new = QuoteString(f"{path}.new")
        # The file itself: the symlink to it may point to another file later.
        yield StringCommand(
            "qemu-img create -q -f qcow2 -F qcow2",
            '-b "$(readlink -m', QuoteString(machine.base), ')"', new, size,
            "&& chmod 600", new, "&& mv", new, QuoteString(path),
        )  # fmt: skip
        yield virsh("pool-refresh", pool_name(machine.site))
        return
    if there.backing != host.get_fact(RealPath, path=machine.base):
        host.log(
            f"VM {machine.name}: its disk began as {there.backing} and stays so; "
            "only a VM that is made again begins as another image",
            logger.warning,
        )
    if there.size >= machine.disk:
        host.noop(f"disk {path} is there")
        return
    domain = host.get_fact(Domains).get(machine.name)
    if domain and domain.live:
        yield virsh("blockresize", machine.name, path, f"{size}B")
    else:
        yield StringCommand("qemu-img resize -q -f qcow2", QuoteString(path), size)


@operation()
def seed(machine: Machine) -> Commands:
    """Create the file system that cloud-init reads, with a host key generated here, once."""
    wanted, pool, name = seed_of(machine), machine.pool, machine.name
    made = host.get_fact(SeedDigests, directory=paths.seeds(pool)).get(name)
    if made == wanted.digest and name in host.get_fact(PublicKeys, directory=paths.host_keys(pool)):
        host.noop(f"seed {machine.seed_path} is there")
        return
    yield _host_key(machine)
    work = f"{paths.seeds(pool)}/{name}.new"
    quoted, key = QuoteString(work), QuoteString(machine.host_key)
    yield StringCommand("rm -rf", quoted, "&& mkdir -m 700", quoted)
    for file, text in wanted.files.items():
        yield FileUploadCommand(io.StringIO(text), f"{work}/{file}")
    yield StringCommand(
        "{ echo 'ssh_keys:' && echo '  ed25519_private: |' && sed 's/^/    /'", key,
        "&& printf '  ed25519_public: ' && cat", QuoteString(f"{machine.host_key}.pub"), "; } >>",
        QuoteString(f"{work}/user-data"),
    )  # fmt: skip
    record = QuoteString(machine.seed_path.removesuffix(".iso") + ".digest")
    image = QuoteString(f"{work}/seed.iso")
    yield StringCommand(
        "umask 077 && genisoimage -quiet -joliet -rock -volid", LABEL, "-output", image,
        *(QuoteString(f"{work}/{file}") for file in wanted.files),
        "&& rm -f", record, "&& mv", image, QuoteString(machine.seed_path),
        "&& echo", wanted.digest, ">", record, "&& rm -rf", quoted,
    )  # fmt: skip


def _host_key(machine: Machine) -> StringCommand:
    """Create the host key. The private key is put in place last: if it exists, both are whole."""
    key, new = machine.host_key, f"{machine.host_key}.new"
    return StringCommand(
        "test -f", QuoteString(key), "|| { rm -f", QuoteString(new), QuoteString(f"{new}.pub"),
        "&& ssh-keygen -q -t ed25519 -N '' -C", QuoteString(machine.name), "-f", QuoteString(new),
        "&& mv", QuoteString(f"{new}.pub"), QuoteString(f"{key}.pub"),
        "&& mv", QuoteString(new), QuoteString(key), "; }",
    )  # fmt: skip

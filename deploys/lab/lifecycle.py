"""Lab lifecycle: up, down, stop and status. Defines the order of all other steps."""

import contextlib
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from groundplane_deploys.lab import ssh
from groundplane_deploys.lab.base import ensure_base
from groundplane_deploys.lab.command import LabError, attempt, run, say
from groundplane_deploys.lab.disk import attach_disk, detach_disk, is_attached, is_current, root_of
from groundplane_deploys.lab.files import NodeFile, compose_files
from groundplane_deploys.lab.git import serves_git, start_git_server, wait_for_git_server
from groundplane_deploys.lab.model import GIT, RESOLVER, SERVERS, Lab, LabNode, Tree
from groundplane_deploys.lab.mounts import remove_tree
from groundplane_deploys.lab.namespace import entered
from groundplane_deploys.lab.network import (
    ensure_lab_network,
    inside,
    list_plugged,
    namespace_path,
    node_namespace,
    remove_lab_network,
    unplug_node,
)
from groundplane_deploys.lab.preflight import preflight, require_root
from groundplane_deploys.lab.repository import remove_clone
from groundplane_deploys.lab.resolver import start_resolver, wait_for_resolver
from groundplane_deploys.lab.services import Services, services
from groundplane_deploys.locks import lock_file

_SAVE = "for each in $(virsh list --name); do virsh managedsave $each || exit; done"
# Where systemd-nspawn keeps a directory and a lock per machine.
_NSPAWN = Path("/run/systemd/nspawn")


@dataclass(frozen=True)
class NodeStatus:
    """The status of one node."""

    name: str
    addresses: tuple[str, ...]
    running: bool
    reachable: bool


def up(lab: Lab, limit: float = 180.0) -> None:
    """Boot every node that is not running, and return when all of them answer by ssh.

    *limit*, in seconds, applies to their boot, not to building the base tree.
    """
    preflight(lab)
    began = time.monotonic()
    with _locked(lab):
        _claim_state(lab)
        bases = {tree: ensure_base(lab.cache, tree) for tree in {node.tree for node in lab.nodes}}
        keeper = services(lab.prefix)
        try:
            _boot(lab, bases, keeper, limit)
        except LabError as error:
            logs = lab.log("NAME").parent
            raise LabError(
                f"{error}\nthe lab {lab.prefix} is half up: its logs are in {logs}; "
                "`up` tries again, `down` removes it"
            ) from error
    say(f"{lab.prefix}: up in {time.monotonic() - began:.1f} s; ssh -F {ssh.ssh_config(lab)}")


def down(lab: Lab) -> None:
    """Remove everything of the lab except the cache, whatever its state is."""
    require_root()
    began = time.monotonic()
    with _locked(lab):
        keeper = services(lab.prefix)
        names = _find_nodes(lab, keeper)
        owned = _owns_state(lab)
        if not (owned or names or namespace_path(lab.prefix).exists()):
            say(f"{lab.prefix}: nothing to take down")
            return
        if owned:
            ssh.close_connections(lab)
        _sweep(lab, keeper, {*names, *SERVERS})
        keeper.close()
        remove_lab_network(lab.prefix)
        if owned:
            remove_clone(lab)
            remove_tree(lab.state)
    say(f"{lab.prefix}: down in {time.monotonic() - began:.1f} s")


def stop(lab: Lab) -> None:
    """Power the lab off, and keep its disks and keys: `up` continues from there.

    Running VMs on its hypervisors are saved, and resume when the hypervisors boot.
    """
    require_root()
    began = time.monotonic()
    with _locked(lab):
        keeper = services(lab.prefix)
        for node in lab.nodes:
            if node.tree == "hypervisor" and _is_up(lab, keeper, node.name):
                say(f"{node.name}: saving its VMs")
                command = ["ssh", "-F", str(ssh.ssh_config(lab)), node.name, _SAVE]
                run(inside(lab.prefix, command))
        ssh.close_connections(lab)
        _sweep(lab, keeper, {*_find_nodes(lab, keeper), *SERVERS})
        keeper.close()
        remove_lab_network(lab.prefix)
    say(f"{lab.prefix}: off in {time.monotonic() - began:.1f} s; its disks are in {lab.state}")


def status(lab: Lab) -> tuple[NodeStatus, ...]:
    """Return the status of every node of the lab."""
    require_root()
    keeper = services(lab.prefix)

    def look(node: LabNode) -> NodeStatus:
        running = _is_up(lab, keeper, node.name)
        reachable = False
        if running:
            with entered(lab):
                reachable = all(ssh.answers(host) for host in lab.reachable_hosts(node))
        return NodeStatus(node.name, node.addresses, running, reachable)

    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(look, lab.nodes))


def _boot(lab: Lab, bases: Mapping[Tree, Path], keeper: Services, limit: float) -> None:
    network_was_there = namespace_path(lab.prefix).exists()
    known = _find_nodes(lab, keeper) - SERVERS
    running = {name for name in known if _is_up(lab, keeper, name)}
    _sweep(lab, keeper, known - running)
    ensure_lab_network(lab)
    ssh.ensure_keys(lab)
    running -= _locked_out(lab, running, keeper)
    there = {server for server in SERVERS if network_was_there and keeper.is_running(server)}
    if GIT in there and not serves_git(lab):
        there.remove(GIT)
    for server, start in ((RESOLVER, start_resolver), (GIT, start_git_server)):
        if server not in there:
            keeper.stop([server])
            start(lab, keeper)
    for node in lab.nodes:
        if node.name in running and not is_current(
            lab, node.name, bases[node.tree], _files(lab, node)
        ):
            say(f"{node.name}: keeps running as it was made; down and up makes it again")
    waiting = [node for node in lab.nodes if node.name not in running]
    if waiting:
        say(f"booting {', '.join(node.name for node in waiting)}")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: _start(lab, node, bases[node.tree], keeper), waiting))
    wait_for_resolver(lab, limit)
    wait_for_git_server(lab, limit)
    ssh.wait_for_ssh(lab, keeper.is_running, limit)


def _locked_out(lab: Lab, running: set[str], keeper: Services) -> set[str]:
    """Stop and return those of *running* that reject the lab's key, for example after its loss."""
    config = str(ssh.ssh_config(lab))

    def opens(name: str) -> bool:
        asked = ["ssh", "-n", "-F", config, "-o", "ConnectTimeout=5", name, "true"]
        done = attempt(inside(lab.prefix, asked))
        return "Permission denied" not in done.stderr and "verification failed" not in done.stderr

    with ThreadPoolExecutor() as pool:
        found = dict(zip(running, pool.map(opens, running), strict=True))
    refusing = {name for name, opened in found.items() if not opened}
    for name in sorted(refusing):
        say(f"{name}: does not take the lab's key, and boots again")
    _sweep(lab, keeper, refusing)
    return refusing


def _start(lab: Lab, node: LabNode, base: Path, keeper: Services) -> None:
    root = attach_disk(lab, node.name, base, _files(lab, node))
    # This package is on PYTHONPATH.
    program = [sys.executable, "-P", "-m", "groundplane_deploys.lab.keeper"]
    argv = [*program, lab.prefix, node.name, str(root), node.tree]
    keeper.start(node.name, argv, lab.log(node.name))


def _files(lab: Lab, node: LabNode) -> tuple[NodeFile, ...]:
    key = ssh.host_key(lab, node.name)
    return compose_files(
        lab,
        node,
        authorized_key=ssh.public(ssh.client_key(lab)).read_text(),
        host_key=key.read_text(),
        host_key_public=ssh.public(key).read_text(),
    )


def _is_up(lab: Lab, keeper: Services, name: str) -> bool:
    """Return whether a node is complete: a process without link or disk is left from a crash."""
    plugged = name in list_plugged(lab.prefix)
    return plugged and keeper.is_running(name) and is_attached(lab, name)


def _find_nodes(lab: Lab, keeper: Services) -> set[str]:
    """Return all nodes of which this lab may have left something.

    Names of namespaces are not used: those of another lab may have the same prefix.
    """
    disks = {path.name for path in lab.nodes_dir.glob("*/")} if _owns_state(lab) else set()
    mine = {
        node.name
        for node in lab.nodes
        if namespace_path(node_namespace(lab.prefix, node.name)).exists()
    }
    return mine | disks | keeper.names() | list_plugged(lab.prefix)


def _sweep(lab: Lab, keeper: Services, names: Iterable[str]) -> None:
    """Stop and remove all remains of nodes, except their disks."""
    names = sorted(names)
    keeper.stop(names)
    for name in names:
        unplug_node(lab.prefix, name)
        _forget_machine(lab, name)
        detach_disk(lab, name)


def _forget_machine(lab: Lab, name: str) -> None:
    """Remove what systemd-nspawn leaves of a machine when it is killed."""
    for kind in ("propagate", "unix-export"):
        shutil.rmtree(_NSPAWN / kind / f"{lab.prefix}-{name}", ignore_errors=True)
    if is_attached(lab, name):
        root = root_of(lab, name).stat()
        (_NSPAWN / "locks" / f"inode-{root.st_dev}:{root.st_ino}").unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(lab: Lab) -> Iterator[None]:
    lab.cache.mkdir(parents=True, exist_ok=True)
    with lock_file(lab.cache / f"lab-{lab.prefix}.lock", f"another command on {lab.prefix}"):
        yield


def _claim_state(lab: Lab) -> None:
    """Mark the state directory as this lab's, since `down` deletes it whole."""
    if not _owns_state(lab):
        if lab.state.is_dir() and any(lab.state.iterdir()):
            raise LabError(f"{lab.state} is in use by something else: name another directory")
        lab.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        _mark(lab).write_text(f"{lab.prefix}\n")
    lab.log("NAME").parent.mkdir(exist_ok=True)


def _owns_state(lab: Lab) -> bool:
    try:
        owner = _mark(lab).read_text().strip()
    except FileNotFoundError:
        return False
    if owner != lab.prefix:
        raise LabError(f"{lab.state} belongs to the lab {owner}: name another directory")
    return True


def _mark(lab: Lab) -> Path:
    return lab.state / "prefix"

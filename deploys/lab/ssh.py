"""ssh access to the nodes: the lab's keys, an ssh_config that pins them, and waiting for sshd."""

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from groundplane_deploys.lab.command import LabError, attempt, run
from groundplane_deploys.lab.model import GIT, Lab, LabNode
from groundplane_deploys.lab.namespace import entered
from groundplane_deploys.vm_keys import pinned_file


def ssh_config(lab: Lab) -> Path:
    return lab.ssh_dir / "config"


def client_key(lab: Lab) -> Path:
    return lab.ssh_dir / "id_ed25519"


def known_hosts(lab: Lab) -> Path:
    return lab.ssh_dir / "known_hosts"


def known_hosts_files(lab: Lab) -> list[Path]:
    """Return the files that pin host keys; a hypervisor's deploy writes those of its guests."""
    carriers = [node.name for node in lab.nodes if node.tree == "hypervisor"]
    return [known_hosts(lab), *(pinned_file(name, lab.guest_keys_dir) for name in carriers)]


def host_key(lab: Lab, name: str) -> Path:
    return lab.ssh_dir / "hosts" / name


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def ensure_keys(lab: Lab) -> None:
    """Create missing keys, and write the client's files."""
    (lab.ssh_dir / "hosts").mkdir(mode=0o700, parents=True, exist_ok=True)
    for key, owner in (
        (client_key(lab), lab.prefix),
        *((host_key(lab, name), name) for name in (GIT, *(node.name for node in lab.nodes))),
    ):
        make_key(key, owner)
    hosts = {node.name: node.hosts for node in lab.nodes} | {GIT: lab.gateway_hosts}
    keys = {name: public(host_key(lab, name)).read_text() for name in hosts}
    known_hosts(lab).write_text(format_known_hosts(hosts, keys))
    ssh_config(lab).write_text(format_config(lab))


def make_key(key: Path, owner: str) -> None:
    """Create a key unless it exists."""
    if not public(key).is_file():
        key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", owner, "-f", str(key)])


def format_known_hosts(hosts: Mapping[str, Iterable[str]], keys: Mapping[str, str]) -> str:
    lines = []
    for name, addresses in hosts.items():
        kind, key = keys[name].split()[:2]
        lines.append(f"{','.join((name, *addresses))} {kind} {key}\n")
    return "".join(lines)


def format_config(lab: Lab) -> str:
    """Return the ssh_config of nodes and git server: `ssh -F .../config n1` in the lab network."""
    lines = [f"Host {GIT}", f"    HostName {lab.gateway_hosts[0]}", "    User git", ""]
    pinned = " ".join(str(file) for file in known_hosts_files(lab))
    for node in (*lab.nodes, *lab.guests):
        lines += [f"Host {node.name}", f"    HostName {lab.reachable_hosts(node)[0]}", ""]
    lines += [
        "Host *",
        "    User root",
        f"    IdentityFile {client_key(lab)}",
        "    IdentitiesOnly yes",
        f"    UserKnownHostsFile {pinned}",
        "    GlobalKnownHostsFile none",
        "    StrictHostKeyChecking yes",
        "    PasswordAuthentication no",
        "    ConnectTimeout 10",
        # A shared connection to a dead node is dropped, so that its users do not wait for it.
        "    ServerAliveInterval 5",
        "    ServerAliveCountMax 12",
        "    LogLevel ERROR",
        # For clients that ask for a shared connection (ControlMaster): one login, many commands.
        f"    ControlPath {lab.ssh_dir}/%C",
    ]
    return "".join(f"{line}\n" for line in lines)


def close_connections(lab: Lab) -> None:
    """End the shared connections to nodes, which outlive the commands that opened them.

    A remaining connection would hang: its client retransmits into a removed network, and a saved VM
    still has its end of it.
    """
    for path in lab.ssh_dir.glob("*"):
        if path.is_socket():
            attempt(["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", lab.prefix])
            path.unlink(missing_ok=True)


def wait_for_ssh(lab: Lab, is_running: Callable[[str], bool], limit: float) -> None:
    """Wait until sshd answers on every address of every node."""
    if not lab.nodes:
        return
    deadline = time.monotonic() + limit

    def wait(node: LabNode) -> str:
        look = time.monotonic()
        with entered(lab):
            for host in lab.reachable_hosts(node):
                while not answers(host):
                    # With systemd, each check starts a process, and the nodes need CPU to boot.
                    if time.monotonic() > look:
                        if not is_running(node.name):
                            return _explain(lab, node, "it ended while booting")
                        look = time.monotonic() + 1
                    if time.monotonic() > deadline:
                        return _explain(lab, node, f"no ssh on {host} after {limit:.0f} s")
                    time.sleep(0.05)
        return ""

    with ThreadPoolExecutor(max_workers=len(lab.nodes)) as pool:
        failures = [failure for failure in pool.map(wait, lab.nodes) if failure]
    if failures:
        raise LabError("\n".join(failures))


def answers(host: str, timeout: float = 5.0) -> bool:
    """Return whether an sshd answers on an address, from the calling thread's network."""
    try:
        with socket.create_connection((host, 22), timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented, for an error message."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        text = "(it is not there)"
    kept = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(f"    {line}" for line in kept or ["(it is empty)"])


def _explain(lab: Lab, node: LabNode, what: str) -> str:
    log = lab.log(node.name)
    return f"{node.name}: {what}; the end of {log}:\n{tail(log)}"

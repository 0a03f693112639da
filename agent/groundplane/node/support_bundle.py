"""A node's diagnostic files for a maintainer: `groundplane debug bundle`."""

import io
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from groundplane.agent.store import PREVIOUS_FILE, SITE_FILE
from groundplane.errors import KernelRefused, StateError
from groundplane.kernel import owned
from groundplane.kernel.nft import list_table
from groundplane.kernel.tables import list_tables
from groundplane.processes.own_command import own_command
from groundplane.proxies import proxies
from groundplane.site.compiled import Probe
from groundplane.site.encoding import encode
from groundplane.site.snapshot import decode, verify


@dataclass(frozen=True)
class Limits:
    """What a command may take, in seconds, and how much of a file is kept, in bytes."""

    command_s: float = 30.0
    file_bytes: int = 32 << 20


LIMITS: Final = Limits()


_COMMANDS: Final = {
    "agent/status.json": ("groundplane", "agent", "status", "-o", "json"),
    "agent/events.json": ("groundplane", "events", "-o", "json"),
    "agent/doctor.txt": ("groundplane", "doctor"),
    "agent/journal.txt": ("journalctl", "-u", "groundplane-agent", "-n", "2000", "--no-pager"),
    "agent/unit.txt": ("systemctl", "status", "--no-pager", "-l", "groundplane-agent"),
    "kernel/version.txt": ("uname", "-a"),
    "kernel/nft-version.txt": ("nft", "--version"),
    "kernel/table-ip.nft": ("nft", "list", "table", "ip", owned.TABLE),
    "kernel/table-ip6.nft": ("nft", "list", "table", "ip6", owned.TABLE),
    "kernel/table-bridge.nft": ("nft", "list", "table", "bridge", owned.TABLE),
    "kernel/services-ip.nft": ("nft", "list", "table", "ip", owned.SERVICES_TABLE),
    "kernel/services-ip6.nft": ("nft", "list", "table", "ip6", owned.SERVICES_TABLE),
    "kernel/addresses.txt": ("ip", "address"),
    "kernel/links.txt": ("ip", "-s", "link"),
    "kernel/routes.txt": ("ip", "route", "show", "table", "all"),
    "kernel/routes6.txt": ("ip", "-6", "route", "show", "table", "all"),
    "kernel/rules.txt": ("ip", "rule"),
    "kernel/rules6.txt": ("ip", "-6", "rule"),
    "kernel/neighbours.txt": ("ip", "neighbour"),
    "kernel/sysctl.txt": ("sysctl", "-a", "--pattern", r"^net\.(ipv[46]|netfilter|bridge)"),
    "kernel/connections.txt": ("conntrack", "-C"),
    "kernel/connections-lost.txt": ("conntrack", "-S"),
    "dns/zones.txt": ("rndc", "status"),
    "system/memory.txt": ("free", "-m"),
    "system/disk.txt": ("df", "-h"),
}


def commands_of_a_node() -> dict[str, Sequence[str]]:
    """Return the commands by the names of their files, with those of every proxy mode."""
    found: dict[str, Sequence[str]] = dict(_COMMANDS)
    for each in proxies():
        found |= each.commands
    return found


def collect(
    state_directory: Path,
    runtime_directory: Path,
    commands: Mapping[str, Sequence[str]],
    limits: Limits = LIMITS,
) -> dict[str, bytes]:
    """Return the content of each file by its name; why there is none stands in its place.

    *commands* make files of what they write.

    No key, no token and no file of /etc is among them, and no value of a probe's header.
    """
    directories = {
        "agent/status.json": ("--runtime-directory", str(runtime_directory)),
        "agent/events.json": ("--runtime-directory", str(runtime_directory)),
        "agent/doctor.txt": (),
    }
    found = {
        name: _said((*command, *directories.get(name, ())), limits.command_s)
        for name, command in commands.items()
    }
    found |= _rules()
    for name in (SITE_FILE, PREVIOUS_FILE):
        try:
            site = without_headers((state_directory / name).read_bytes())
        except OSError as error:
            site = f"{error.strerror}\n".encode()
        except StateError as error:  # nobody knows where in it a header is
            site = f"{error}\n".encode()
        found[f"state/{name}"] = site
    return {name: content[: limits.file_bytes] for name, content in found.items()}


def without_headers(encoded: bytes) -> bytes:
    """Return the snapshot *encoded* with "..." for the value of each header that a probe sends.

    StateError when *encoded* is none, or another version's.
    """
    verify(encoded)
    found = decode(encoded)
    site = msgspec.structs.replace(
        found.head,
        workloads=tuple(chain.from_iterable(found.every_node_workloads())),
        probes=tuple(map(_masked, found.every_probe())),
        services=tuple(found.every_service()),
    )
    return encode(site)


def _masked(probe: Probe) -> Probe:
    headers = tuple((name, "...") for name, _ in probe.headers)
    return msgspec.structs.replace(probe, headers=headers)


def _rules() -> dict[str, bytes]:
    """Return the list of all tables and their rules: nft may die of one, and lists the others."""
    texts, tables = [], []
    try:
        tables = list_tables()
    except KernelRefused as refused:
        texts.append(f"{refused}\n")
    for table in tables:
        try:
            texts.append(list_table(table, "-t"))
        except KernelRefused as refused:
            texts.append(f"# {refused}\n")
    listed = "".join(f"table {each}\n" for each in tables)
    return {
        "kernel/tables.txt": listed.encode(),
        "kernel/ruleset.nft": "".join(texts).encode(),
    }


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return *files* as a compressed archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"groundplane/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _said(command: Sequence[str], within: float) -> bytes:
    """Return the output of *command*, or why there is none."""
    program, *arguments = command
    if program == "groundplane":
        program, *arguments = own_command(*arguments)
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within,
            check=False,
        )
    except FileNotFoundError:
        return f"{program} is not installed\n".encode()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n".encode()
    if done.returncode < 0:
        return done.stdout + f"{program} was killed by signal {-done.returncode}\n".encode()
    return done.stdout

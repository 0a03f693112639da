"""What BIND needs besides its configuration: a key, and zones that are there from the start."""

import io
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.facts.files import File

from deploys.facts.files import NameServers

LOCAL = "127.0.0.1"


@operation()
def tsig_key(path: str, key_name: str, user: str, group: str) -> Generator[StringCommand]:
    """Have a TSIG key called *key_name* in *path*: made on the host, once, and known nowhere else."""
    if host.get_fact(File, path=path):
        host.noop(f"key {path} is there")
        return
    new = QuoteString(f"{path}.new")
    yield StringCommand(
        "umask 077 && tsig-keygen", QuoteString(key_name), ">", new,
        "&& chown", f"{user}:{group}", new, "&& chmod 440", new, "&& mv", new, QuoteString(path),
    )  # fmt: skip


@operation()
def seed(path: str, journal: str, content: str) -> Generator[FileUploadCommand | StringCommand]:
    """Have a zone file in *path*: *content* where there is none; what the server wrote is kept.

    A *journal* of a file that was lost goes too: with another file than its own no zone is loaded.
    """
    if host.get_fact(File, path=path):
        host.noop(f"zone file {path} is the server's")
        return
    yield FileUploadCommand(io.StringIO(content), f"{path}.new")
    yield StringCommand("chown bind:bind", QuoteString(f"{path}.new"))
    yield StringCommand("rm -f", QuoteString(journal))
    yield StringCommand("mv", QuoteString(f"{path}.new"), QuoteString(path))


@operation()
def local_resolver_first() -> Generator[FileUploadCommand]:
    """Ask the local server first and keep the site's resolvers behind it (resolv.conf(5): three)."""
    lines = host.get_fact(NameServers)
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    if not lines or servers[:1] == [LOCAL]:
        host.noop("/etc/resolv.conf names the local server first")
        return
    others = [line for line in lines if not line.startswith("nameserver ")]
    kept = [f"nameserver {server}" for server in servers if server != LOCAL][:2]
    text = "\n".join([f"nameserver {LOCAL}", *kept, *others]) + "\n"
    yield FileUploadCommand(io.StringIO(text), "/etc/resolv.conf")


@operation()
def no_local_resolver() -> Generator[FileUploadCommand]:
    """Ask the local server no more, where others are named behind it."""
    lines = host.get_fact(NameServers)
    kept = [line for line in lines if line != f"nameserver {LOCAL}"]
    if kept == list(lines) or not any(line.startswith("nameserver ") for line in kept):
        host.noop("/etc/resolv.conf does not name the local server")
        return
    yield FileUploadCommand(io.StringIO("\n".join(kept) + "\n"), "/etc/resolv.conf")

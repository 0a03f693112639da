"""What BIND needs besides its configuration: a key, and zones that exist from the start."""

import hashlib
import io
import shlex
from collections.abc import Generator, Iterable, Mapping
from pathlib import PurePath

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.facts.files import File

from groundplane_deploys.facts.files import FileDigests, NameServers

LOCAL = "127.0.0.1"


@operation()
def tsig_key(path: str, key_name: str, user: str, group: str) -> Generator[StringCommand]:
    """Create a TSIG key *key_name* in *path*, generated once on the host, which it never leaves."""
    if host.get_fact(File, path=path):
        host.noop(f"key {path} is there")
        return
    new = QuoteString(f"{path}.new")
    yield StringCommand(
        "umask 077 && tsig-keygen", QuoteString(key_name), ">", new,
        "&& chown", f"{user}:{group}", new, "&& chmod 440", new, "&& mv", new, QuoteString(path),
    )  # fmt: skip


@operation()
def configured(
    config: str,
    text: str,
    files: Mapping[str, str],
    zones: Mapping[str, tuple[str, str]],
    owner: str,
) -> Generator[FileUploadCommand | StringCommand]:
    """Write the configuration *text* to *config*, *files* by path, and a file for each of *zones*.

    *zones* is by the path of the zone file, with the journal's path and the content. Only missing
    zone files are created: what the server wrote is kept. The journal of a lost file is deleted,
    since a zone does not load with another file's journal. Everything is checked in a staging
    place; nothing is changed if named would reject it.
    """
    digests = host.get_fact(FileDigests, paths=[config, *files, *zones])
    made = {path: content for path, (_, content) in zones.items() if path not in digests}
    staged = made | {
        path: content
        for path, content in {**files, config: text}.items()
        if digests.get(path) != hashlib.sha256(content.encode()).hexdigest()
    }
    if not staged:
        host.noop(f"{config} and its zones are as declared")
        return
    checked = text
    for path in staged:
        checked = checked.replace(f'"{path}"', f'"{path}.new"')
    directories = sorted({str(PurePath(path).parent) for path in staged})
    yield StringCommand("mkdir -p", *map(QuoteString, directories))
    for path, content in {**staged, f"{config}.check": checked}.items():
        new = path if path.endswith(".check") else f"{path}.new"
        yield FileUploadCommand(io.StringIO(content), new)
    yield StringCommand("sh -c", QuoteString(_checked_script(config, staged, zones, made, owner)))


def _checked_script(
    config: str,
    staged: Iterable[str],
    zones: Mapping[str, tuple[str, str]],
    made: Iterable[str],
    owner: str,
) -> str:
    """Return the commands that check *staged* files, and put them in place or take them away."""
    news = [f"{path}.new" for path in staged]
    check = shlex.quote(f"{config}.check")
    moves = [shlex.join(["mv", f"{path}.new", path]) for path in staged]
    return "\n".join(
        [
            f"if ! said=$(named-checkconf -z {check} 2>&1); then",
            "  echo \"$said\" | grep -v ': loaded serial ' >&2",
            f"  rm -f {check} {shlex.join(news)}",
            f"  echo {shlex.quote(f'{config} would be refused by named: nothing is changed')} >&2",
            "  exit 1",
            "fi",
            "set -e",
            f"chmod 644 {shlex.join(news)}",
            *(shlex.join(["chown", owner, f"{path}.new"]) for path in made),
            *(shlex.join(["rm", "-f", zones[path][0]]) for path in made),
            *moves,
            f"rm -f {check}",
        ]
    )


@operation()
def local_resolver_first() -> Generator[FileUploadCommand]:
    """Use the local server first, then the site's resolvers (resolv.conf(5): three)."""
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
    """Stop using the local server, if others are listed after it."""
    lines = host.get_fact(NameServers)
    kept = [line for line in lines if line != f"nameserver {LOCAL}"]
    if kept == list(lines) or not any(line.startswith("nameserver ") for line in kept):
        host.noop("/etc/resolv.conf does not name the local server")
        return
    yield FileUploadCommand(io.StringIO("\n".join(kept) + "\n"), "/etc/resolv.conf")

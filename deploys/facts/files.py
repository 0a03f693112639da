"""Facts about files, and about versions of programs."""

import re
from collections.abc import Iterable, Sequence

from pyinfra.api import FactBase, QuoteString, StringCommand

from groundplane.deploy_api import IGNORE_FILE, first_serials


class DirectoryDigests(FactBase[dict[str, str]]):
    """SHA-256 of every catalog file below a directory, by relative name; empty without it."""

    default = dict

    def command(self, path: str) -> StringCommand:
        quoted = QuoteString(path)
        return StringCommand(
            "if test -d", quoted, "; then cd", quoted,
            rf"&& find . -type f \( ! -path '*/.*' -o -name {IGNORE_FILE} \) -exec sha256sum {{}} +",
            "; fi",
        )  # fmt: skip

    def process(self, output: Iterable[str]) -> dict[str, str]:
        rows = (line.split(maxsplit=1) for line in output if line.strip())
        return {name.removeprefix("./"): digest for digest, name in rows}


class FileDigests(FactBase[dict[str, str]]):
    """SHA-256 of the given files that exist, by absolute path."""

    default = dict

    def command(self, paths: Sequence[str]) -> StringCommand:
        quoted = [QuoteString(path) for path in paths]
        return StringCommand("sha256sum --", *quoted, "2>/dev/null || true")

    def process(self, output: Iterable[str]) -> dict[str, str]:
        rows = (line.split(maxsplit=1) for line in output if line.strip())
        return {name: digest for digest, name in rows}


class Permissions(FactBase[dict[str, str]]):
    """Mode and owner, as in "640 root:root", of a directory ("") and of its entries, by name."""

    default = dict

    def command(self, path: str) -> StringCommand:
        quoted = QuoteString(path)
        return StringCommand(
            "if test -d", quoted, "; then find", quoted, r"-maxdepth 1 -printf '%m %u:%g %P\n'; fi"
        )

    def process(self, output: Iterable[str]) -> dict[str, str]:
        rows = (line.split(" ", 2) for line in output if line.strip())
        return {(name[0] if name else ""): f"{mode} {owner}" for mode, owner, *name in rows}


class FirstSerials(FactBase[dict[str, int]]):
    """First serials of recreated zones; they follow those that the agent has seen served."""

    default = dict

    def command(self, path: str) -> StringCommand:
        return StringCommand("cat", QuoteString(path), "2>/dev/null || true")

    def process(self, output: Iterable[str]) -> dict[str, int]:
        return first_serials("".join(output).encode())


class _Version(FactBase[tuple[int, int]]):
    """Major and minor version of a program; (0, 0) if it is neither installed nor in apt."""

    def process(self, output: Iterable[str]) -> tuple[int, int]:
        found = re.match(r"(?:\d+:)?(\d+)\.(\d+)", next(iter(output), ""))
        return (int(found[1]), int(found[2])) if found else (0, 0)


class BindVersion(_Version):
    """Version of the installed BIND, or of the one that apt would install."""

    def command(self) -> str:
        return f"dpkg-query -W -f '${{Version}}\n' bind9 2>/dev/null || {_candidate('bind9')}"


class PythonVersion(_Version):
    """Version of the installed python3, or of the one that apt would install."""

    def command(self) -> str:
        script = 'import sys; print("%d.%d" % sys.version_info[:2])'
        return f"python3 -I -c '{script}' 2>/dev/null || {_candidate('python3')}"


def _candidate(package: str) -> str:
    return f"LC_ALL=C apt-cache policy {package} 2>/dev/null | sed -n 's/^ *Candidate: //p'"


class NameServers(FactBase[list[str]]):
    """Lines of /etc/resolv.conf; empty if it is a symlink, since another program writes it then."""

    default = list

    def command(self) -> str:
        return "test -L /etc/resolv.conf || cat /etc/resolv.conf 2>/dev/null || true"

    def process(self, output: Iterable[str]) -> list[str]:
        return [line.rstrip() for line in output]


class RealPath(FactBase[str]):
    """The absolute path of *path* with symlinks resolved, whether or not it exists."""

    default = str

    def command(self, path: str) -> StringCommand:
        return StringCommand("readlink -m", QuoteString(path))

    def process(self, output: Iterable[str]) -> str:
        return next(iter(output), "")


class GlobalNameServers(FactBase[dict[str, list[str]]]):
    """If systemd-resolved is in use: its global name servers, by the file that sets them.

    Those of the deploy's own file are left out (resolved.conf(5)).
    """

    default = dict

    def command(self) -> str:
        return (
            'case "$(readlink /etc/resolv.conf)" in *systemd/resolve*)'
            " systemd-analyze cat-config systemd/resolved.conf 2>/dev/null;; esac || true"
        )

    def process(self, output: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        file = ""
        for line in output:
            name, _, value = line.partition("=")
            if line.startswith("# /"):
                file = line[2:].strip()
            elif name.strip() == "DNS" and not value.strip():
                found.clear()  # an empty value resets the list
            elif name.strip() == "DNS" and not file.endswith("/groundplane.conf"):
                found.setdefault(file, []).extend(value.split())
        return found

"""Runs git on a URL and a repository of ours, isolated from all other configuration.

git reads its configuration from many places, and runs what it finds there: helpers, hooks, filters,
other protocols. A child gets none of these; this module sets its environment and limits.
"""

import asyncio
import os
import re
import shlex
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from groundplane.errors import SourceError, printable
from groundplane.processes.limits import CPU_S, LAST_WORDS_S, OOM_SCORE, memory_limit
from groundplane.processes.streams import last_of
from groundplane.sources.content import Unfit, size_of
from groundplane.sources.trust import Trust, authorization, require_readable
from groundplane.sources.url import GitUrl

_CONNECT_S: Final = 10
_KILLED_S: Final = 1.0
_CONFIGURATION: Final = {
    "core.hooksPath": "/dev/null",
    "core.logAllRefUpdates": "false",
    "core.bigFileThreshold": "16m",  # larger files are not taken into memory
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",  # one file a fetch: the limit on a file's size is one on the fetch
    "gc.auto": "0",
    "http.followRedirects": "false",
    "init.defaultBranch": "none",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "protocol.version": "2",
    "submodule.recurse": "false",
    "transfer.fsckObjects": "true",
}
# What stands below the line that says what is wrong.
_NOISE: Final = re.compile(
    r"fatal: Could not read from remote repository|Please make sure you have|and the repository exists"
    r"|fatal: fsck error in packed object|fatal: fetch-pack: invalid index-pack output"
    r"|fatal: early EOF|fatal: unable to fork|warning: |hint: |debug\d: "
)
_TOO_LARGE: Final = "write error: File too large"


@dataclass(frozen=True)
class Git:
    """git, for one source. *explained* is what to say in place of what git or ssh do."""

    name: str
    environment: Mapping[str, str]
    directory: Path
    max_bytes: int
    explained: Mapping[str, str]

    async def run(self, *arguments: str, within: float, given: bytes = b"") -> bytes:
        """Return git's output; SourceError with its error, Unfit if a file gets too large."""
        child = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
            cwd=self.directory,
            start_new_session=True,
        )
        assert child.stdout  # noqa: S101
        assert child.stderr  # noqa: S101
        if child.stdin:
            child.stdin.write(given)  # a line or two: it fits into the pipe
            child.stdin.close()
        reading = asyncio.gather(last_of(child.stdout), last_of(child.stderr), child.wait())
        try:
            async with asyncio.timeout(within):
                output, errors, status = await reading
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # ssh too, and whoever else holds a pipe
            with suppress(TimeoutError):  # a connection holds pipes until its server answers
                async with asyncio.timeout(_KILLED_S):
                    await child.wait()
            if isinstance(error, TimeoutError):
                raise SourceError(f"{self.name}: no answer within {within:g} s") from None
            raise
        if status != 0:
            raise self.fault(errors, status)
        return output

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of git with *arguments*, in its limits."""
        if shutil.which("git", path=self.environment["PATH"]) is None:
            raise SourceError(f"{self.name}: git is not installed, and this source needs it")
        cpu = f"--cpu={CPU_S}:{CPU_S + LAST_WORDS_S}"
        limits = [f"--fsize={self.max_bytes}", f"--as={memory_limit()}", cpu, "--core=0"]
        # With the signal, a process that writes too much would die without an error message.
        command = ["prlimit", *limits, "env", "--ignore-signal=XFSZ", "git", *arguments]
        return ["choom", "-n", str(OOM_SCORE), "--", *command]

    def fault(self, errors: bytes, status: int) -> SourceError:
        """Return the error for a git that ended with *status* and said *errors*."""
        text = errors.decode(errors="replace")
        if status == -signal.SIGXCPU:
            return SourceError(f"{self.name}: git needed over {CPU_S} s of CPU time")
        if _TOO_LARGE in text:
            limit = size_of(self.max_bytes)
            return Unfit(f"{self.name}: what there is to fetch is larger than {limit}")
        for said, meant in self.explained.items():
            if said in text:
                return SourceError(f"{self.name}: {meant}")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if not _NOISE.match(line)]
        last = (telling or lines or [f"git ended with {status}"])[-1]
        last = re.sub(r"^(fatal|error|ssh|remote): (error: )?", "", last)
        return SourceError(f"{self.name}: {printable(last)[:400]}")


def isolated() -> dict[str, str]:
    """Return an environment in which git reads no existing configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }


def git_for(url: GitUrl, directory: Path, trust: Trust, socket: str, persist: int) -> Git:
    """Return git for *url*, run in *directory*, where its ssh has a connection's *socket*.

    SourceError when a file of *trust* cannot be used.
    """
    configuration = dict(_CONFIGURATION)
    environment = isolated() | {
        "GIT_CEILING_DIRECTORIES": str(directory.parent),
        "GIT_ALLOW_PROTOCOL": url.protocol,
        "GIT_TERMINAL_PROMPT": "0",
    }
    if url.protocol == "ssh":
        assert trust.key  # noqa: S101
        assert trust.known_hosts  # noqa: S101
        require_readable(trust.key, trust.known_hosts)
        environment |= {"GIT_SSH_COMMAND": _ssh(trust.key, trust.known_hosts, socket, persist)}
        environment |= {"GIT_SSH_VARIANT": "ssh"}
        explained = {
            "Host key verification failed": f"the server's key is not one in {trust.known_hosts}",
            "Permission denied (": f"the server rejected the key {trust.key}",
        }
    else:
        require_readable(trust.ca, trust.certificate, trust.certificate_key)
        environment |= _tls(directory, trust)
        explained = {
            "terminal prompts disabled": "the server wants a token, another than it was given",
            "returned error: 30": "the server redirects; the URL has to be the final one",
        }
        if trust.token:
            # In the environment, which nobody else can read; a command line is for everyone.
            configuration["http.extraHeader"] = f"Authorization: {authorization(trust.token)}"
    environment["GIT_CONFIG_COUNT"] = str(len(configuration))
    for number, (key, value) in enumerate(configuration.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return Git(str(url), environment, directory, trust.max_bytes, explained)


def _ssh(key: Path, known_hosts: Path, socket: str, persist: int) -> str:
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": _quoted(key),
        "PreferredAuthentications": "publickey",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _quoted(known_hosts),
        "GlobalKnownHostsFile": "none",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        "ConnectTimeout": str(_CONNECT_S),
        "ServerAliveInterval": str(_CONNECT_S),
        "ServerAliveCountMax": "2",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "PermitLocalCommand": "no",
        "ControlMaster": "auto",
        "ControlPath": socket,
        "ControlPersist": str(persist),
        "LogLevel": "ERROR",
    }
    given = (f"-o{option}={value}" for option, value in options.items())
    return shlex.join(["ssh", "-F", "none", "-T", *given])


def _quoted(path: Path) -> str:
    """Return *path* for an option of ssh, which splits at spaces and expands %, ~ and ${}."""
    text = str(path.absolute())
    if re.search(r'["\\$\x00-\x1f\x7f]', text):
        raise SourceError(f"{printable(text)}: ssh cannot be told a path with a quote, \\ or $")
    return f'"{text.replace("%", "%%")}"'


def _tls(directory: Path, trust: Trust) -> dict[str, str]:
    key = trust.certificate_key or trust.certificate
    files = {"GIT_SSL_CERT": trust.certificate, "GIT_SSL_KEY": key if trust.certificate else None}
    # Without CAPATH, curl would trust the system's directory beside our file. Ours has none.
    files |= {"GIT_SSL_CAINFO": trust.ca, "GIT_SSL_CAPATH": directory if trust.ca else None}
    return {name: str(path.absolute()) for name, path in files.items() if path}

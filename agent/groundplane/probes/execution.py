"""Runs the commands of exec probes: the core of a helper that runs as root, and the agent's client.

The agent cannot and must not enter a workload's network namespace, so it asks the helper over a
unix socket. The helper runs only programs of a list that only root can write. They run as a user
of their own without capabilities, with limits on time, memory, processes, files and output.
"""

import asyncio
import ctypes
import os
import pwd
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from groundplane.kernel.privileges import empty_ambient_set
from groundplane.probes.prober import RunExec
from groundplane.probes.turns import Turns
from groundplane.processes.limits import OOM_SCORE
from groundplane.site.compiled import Probe

OUTPUT_BYTES: Final = 10 << 10  # pkg/kubelet/prober: maxRespBodyLength
NETNS_DIRECTORY: Final = Path("/run/netns")
_REQUEST_BYTES: Final = 64 << 10
_PATIENCE_S: Final = 5.0  # for a client to send its request
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}
_LIMITS: Final = {
    resource.RLIMIT_AS: 1 << 30,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 1 << 20,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_NPROC: 64,  # over all processes of the user
}
_INSTANCE: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_CLONE_NEWNET: Final = 0x40000000
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITIES: Final = 64  # the most that the kernel could have
_CAPSET_HEADER: Final = struct.pack("Ii", 0x20080522, 0)  # version 3, this process
_libc: Final = ctypes.CDLL(None, use_errno=True)


class ExecRequest(msgspec.Struct, frozen=True):
    """A request of the agent: *instance* is the name of a network namespace, "" for the node's own.

    *workload* is the workload that the probe is for.
    """

    command: tuple[str, ...]
    instance: str
    timeout: int
    workload: str


class Reply(msgspec.Struct, frozen=True):
    passed: bool
    reason: str
    hung: bool = False  # it did not end in time


async def run(
    command: Sequence[str], namespace: Path | None, allow_list: Path, user: str, timeout: float
) -> Reply:
    """Run *command* as *user* in the network *namespace*, this process's own where it is None.

    It passes if it exits with status 0 within *timeout* seconds. When it exits or times out, or
    this call is cancelled, all that it started is killed, except what has left its session.
    """
    if refusal := refused(command, allow_list):
        return Reply(passed=False, reason=refusal)
    account = pwd.getpwnam(user)
    with ExitStack() as opened:
        descriptor = -1
        if namespace is not None:
            try:
                descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return Reply(passed=False, reason=f"there is no network namespace {namespace.name}")
            opened.callback(os.close, descriptor)
        confine = partial(_confine, descriptor, account.pw_uid, account.pw_gid, int(timeout) + 1)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
                preexec_fn=confine,  # noqa: PLW1509  (the helper has one thread)
            )
        except (OSError, subprocess.SubprocessError) as error:
            return Reply(passed=False, reason=f"{command[0]} cannot be run: {error}")
    with process:
        return await _reply(process, timeout)


def refused(command: Sequence[str], allow_list: Path) -> str:
    """Return why *command* must not be run, or "".

    Each line of the list is the path of one program. Root must own the list, the programs and every
    directory that leads to them, and nobody else may have write permission.
    """
    program = command[0] if command else ""
    if fault := _writable_by_others(allow_list):
        return f"no command is run: {fault}"
    if program not in allow_list.read_text(encoding="utf-8", errors="replace").splitlines():
        return f"{program!r} is not listed in {allow_list}"
    if not os.path.isabs(program):
        return f"{program!r} is not an absolute path"
    fault = _writable_by_others(Path(program))
    return f"{program} is not run: {fault}" if fault else ""


def _writable_by_others(file: Path) -> str:
    try:
        resolved = file.resolve(strict=True)
        for each in {resolved, *resolved.parents, *file.absolute().parents}:
            found = each.stat()
            sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
            if found.st_uid != 0 or (found.st_mode & 0o022 and not sticky):
                return f"{each} can be written by others than root"
        return "" if stat.S_ISREG(resolved.stat().st_mode) else f"{file} is not a file"
    except OSError as error:
        return f"{file}: {error.strerror}"


def _confine(namespace: int, uid: int, gid: int, cpu_s: int) -> None:
    """Drop the privileges of this forked process before it executes the program."""
    _be_killed_first()  # it opens a file, which the limits may not allow
    if namespace >= 0:
        _call("setns", namespace, _CLONE_NEWNET)
    for limit, value in (*_LIMITS.items(), (resource.RLIMIT_CPU, cpu_s)):
        resource.setrlimit(limit, (value, value))
    for capability in range(_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # EINVAL after the kernel's last one
    empty_ambient_set()
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _call("capset", _CAPSET_HEADER, bytes(24))
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)


def _be_killed_first() -> None:
    """Have the kernel kill this process, not the helper or the agent, when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(f"{OOM_SCORE}")


def _call(name: str, *arguments: int | bytes) -> None:
    if getattr(_libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)


async def _reply(process: "subprocess.Popen[bytes]", timeout: float) -> Reply:
    assert process.stdout is not None  # noqa: S101
    loop, output, pipe = asyncio.get_running_loop(), bytearray(), process.stdout.fileno()
    os.set_blocking(pipe, False)

    def read() -> bool:
        """Read available output and keep its first OUTPUT_BYTES; return whether there was any."""
        with suppress(BlockingIOError):
            if data := os.read(pipe, _REQUEST_BYTES):
                output.extend(data[: max(OUTPUT_BYTES - len(output), 0)])
                return True
            loop.remove_reader(pipe)
        return False

    ended, exited = os.pidfd_open(process.pid), asyncio.Event()
    loop.add_reader(pipe, read)
    loop.add_reader(ended, exited.set)
    try:
        async with asyncio.timeout(timeout):
            await exited.wait()
    except TimeoutError:
        return Reply(passed=False, reason=f"no answer within {timeout:g} s", hung=True)
    finally:
        # The process is not reaped yet, so the ID of its session cannot be reused yet.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            await exited.wait()  # a process that waits for a disk does not end at once
        finally:
            loop.remove_reader(ended)
            os.close(ended)
            while len(output) < OUTPUT_BYTES and read():
                pass
            loop.remove_reader(pipe)
            process.wait()
    return Reply(process.returncode == 0, _said(process.returncode, bytes(output)))


def _said(status: int, output: bytes) -> str:
    text = output.decode(errors="replace").strip()
    text = "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)
    if not status:
        return text or "exit status 0"
    how = f"exit status {status}" if status > 0 else f"ended by {signal.Signals(-status).name}"
    return f"{how}: {text}" if text else how


async def serve(
    socket_path: Path,
    allow_list: Path,
    user: str,
    clients: Collection[int],
    namespaces: Path = NETNS_DIRECTORY,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve requests of root and the user IDs *clients* at *socket_path*, until cancelled.

    *allow_list* and *user* are those of `run`; *namespaces* has the network namespaces by name.
    *ready* is called once requests are accepted.
    """
    turns = Turns()

    async def answer(request: ExecRequest) -> Reply:
        namespace = namespaces / request.instance if request.instance else None
        async with turns.of(request.workload) as turn:
            reply = await run(request.command, namespace, allow_list, user, request.timeout)
            turn.note(hung=reply.hung)
        return reply

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            if _peer(writer) not in (0, *clients):
                return
            with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_PATIENCE_S):
                    request = _requests.decode(await reader.readuntil(b"\n"))
                if request.instance and not _INSTANCE.fullmatch(request.instance):
                    return
                if reply := await _while_connected(reader, answer(request)):
                    writer.write(msgspec.json.encode(reply) + b"\n")
                    await writer.drain()

    socket_path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(handle, socket_path, limit=_REQUEST_BYTES)
    socket_path.chmod(0o666)  # the kernel identifies the client, see _peer
    ready()
    try:
        async with server:
            await server.serve_forever()
    finally:
        socket_path.unlink(missing_ok=True)


async def _while_connected(
    reader: asyncio.StreamReader, answering: Coroutine[None, None, Reply]
) -> Reply | None:
    """Return the result of *answering*; if the client disconnects first, cancel it, return None."""
    running, gone = asyncio.ensure_future(answering), asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else None
    finally:
        for each in (running, gone):
            each.cancel()
        await asyncio.gather(running, gone, return_exceptions=True)


_requests: Final = msgspec.json.Decoder(ExecRequest)
_replies: Final = msgspec.json.Decoder(Reply)


def _peer(writer: asyncio.StreamWriter) -> int:
    """Return the user ID of the peer (unix(7), SO_PEERCRED)."""
    connected = writer.get_extra_info("socket")
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", found)[1])


def helper_at(socket_path: Path) -> RunExec:
    """Return a function that runs a `Prober`'s exec probes through the helper at *socket_path*.

    It raises OSError if the helper does not answer.
    """

    async def ask(probe: Probe) -> tuple[bool, str]:
        try:
            reader, writer = await asyncio.open_unix_connection(socket_path, limit=_REQUEST_BYTES)
            with closing(writer):
                request = ExecRequest(
                    probe.command, probe.instance, probe.timeout, "/".join(probe.key)
                )
                writer.write(msgspec.json.encode(request) + b"\n")
                reply = _replies.decode(await reader.readuntil(b"\n"))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            raise OSError(f"the helper at {socket_path} gives no answer") from None
        except OSError as error:
            raise OSError(f"the helper at {socket_path}: {error.strerror}") from None
        return reply.passed, reply.reason

    return ask

"""Compiles the source in a short-lived child, limited in memory and time, without capabilities."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Final

from groundplane.agent.store import COMPILED_DIRECTORY, COMPILED_KEY
from groundplane.errors import MAX_TEXT, SourceError, bounded
from groundplane.processes.limits import CPU_S, LAST_WORDS_S
from groundplane.processes.own_command import own_command
from groundplane.processes.streams import TooLong, all_of, end, first_of

WALL_S: Final = 180
SITE_BYTES: Final = 256 << 20  # of a compiled site: the limit of an https source, too
_ERROR_BYTES: Final = 4 * MAX_TEXT  # UTF-8 has up to four bytes a character


async def compile_in_child(
    source: Path, shown: str = "", state_directory: Path | None = None
) -> bytes:
    """Return the compiled site of *source*, encoded; SourceError lists all errors.

    Its text names the directory *shown*, if given. The child keeps in *state_directory* what the
    source came to, so that the next one compiles only what has changed.
    """
    cache: list[str] = []
    if state_directory is not None:
        cache += ["--cache", str(state_directory / COMPILED_DIRECTORY)]
        cache += ["--cache-key", str(state_directory / COMPILED_KEY)]
    child = await asyncio.create_subprocess_exec(
        *own_command("compile", *cache, str(source)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
    )
    assert child.stdout  # noqa: S101
    assert child.stderr  # noqa: S101
    reading = asyncio.gather(
        all_of(child.stdout, SITE_BYTES, child.kill),
        first_of(child.stderr, _ERROR_BYTES),
        child.wait(),
    )
    try:
        async with asyncio.timeout(WALL_S):
            output, errors, status = await reading
    except TimeoutError:
        raise SourceError(f"{shown or source}: compiling timed out after {WALL_S} s") from None
    except TooLong:
        limit = f"{SITE_BYTES >> 20} MiB"
        raise SourceError(f"{shown or source}: its compiled site has over {limit}") from None
    finally:
        await end(child)
    if status != 0:
        why = _why(source, status, errors.decode(errors="replace"))
        raise SourceError(bounded(why.replace(str(source), shown) if shown else why))
    return output


def _why(source: Path, status: int, text: str) -> str:
    """Return the child's error message, or what ended it: a limit, a parser's abort, the kernel."""
    if status == -signal.SIGKILL:
        return (
            f"{source}: the compiler was killed: the machine has no memory left for it, or it did not "
            f"end after {CPU_S + LAST_WORDS_S} s of CPU time"
        )
    if status >= 0 and text.strip():
        return text.strip()
    said = f": {text.splitlines()[0]}" if text else ""
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    return f"{source}: the compiler {how}{said}"

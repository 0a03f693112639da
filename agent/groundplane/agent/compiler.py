"""Compiles the source in a short-lived child, limited in memory and time, without capabilities."""

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

from groundplane.errors import SourceError

MEMORY_BYTES: Final = 2 << 30
CPU_S: Final = 120
WALL_S: Final = 180


def limit_this_process() -> None:
    """Bound memory and CPU time of this process: a hostile catalog costs the child, not the node."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


async def compile_in_child(source: Path, shown: str = "") -> bytes:
    """Return the compiled site of *source*, encoded; SourceError with everything that is wrong.

    In its text the directory is called *shown*, where that is given.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "groundplane",
        "compile",
        str(source),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
    )
    try:
        async with asyncio.timeout(WALL_S):
            output, errors = await child.communicate()
    except TimeoutError:
        raise SourceError(f"{source}: compiling it took over {WALL_S} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        why = _why(source, child.returncode or 0, errors.decode(errors="replace"))
        raise SourceError(why.replace(str(source), shown) if shown else why)
    return output


def _why(source: Path, status: int, text: str) -> str:
    """Return what the child said, or how it was ended: by a limit, a parser's abort, the kernel."""
    if status == -signal.SIGXCPU:
        return f"{source}: the compiler needed over {CPU_S} s of CPU time"
    if status >= 0 and text.strip():
        return text.strip()
    said = f": {text.splitlines()[0]}" if text else ""
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    return f"{source}: the compiler {how}{said}"

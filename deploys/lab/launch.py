"""Start a program that outlives its starter, in control groups from the start.

    launch.py LOG CGROUP-DIRECTORY... -- PROGRAM ARGUMENT...

This is a separate file because joining a group after the program's start would be too late, and
running Python between fork and exec in a process with threads is not safe.
"""

import os
import sys
from pathlib import Path


def main(argv: list[str]) -> None:
    end = argv.index("--")
    log, groups, program = argv[0], argv[1:end], argv[end + 1 :]
    for group in groups:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    # The parent's exit hands the program over to init, which reaps it.
    if os.fork():
        os._exit(0)
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.execvp(program[0], program)  # noqa: S606  # the purpose of this file


if __name__ == "__main__":
    main(sys.argv[1:])

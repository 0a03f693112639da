"""The `groundplane` command as a child of this process."""

import sys


def own_command(*arguments: str) -> list[str]:
    """Return the command line that runs `groundplane` with *arguments*.

    `-P` keeps the working directory off the module path: whoever can write there would run code
    as this process' user.
    """
    return [sys.executable, "-P", "-m", "groundplane", *arguments]

"""nft(8), for people: other programs' tables as text, and the tables that nft cannot read."""

import signal
import subprocess
from collections.abc import Sequence

from groundplane.errors import KernelRefused
from groundplane.kernel.tables import Table, list_tables


def list_table(table: Table, *options: str) -> str:
    """Return nft's listing of *table*; KernelRefused, with its signal, if nft cannot read it."""
    run = _run([*options, "list", "table", *table])
    if run.returncode < 0:
        raise KernelRefused(f"nft is killed by {_name(run.returncode)} when it reads table {table}")
    if run.returncode:
        lines = run.stderr.strip().splitlines()
        raise KernelRefused(f"nft: {lines[0] if lines else 'it failed'}")
    return run.stdout


def unreadable_tables() -> list[Table]:
    """Return the tables that kill nft when it lists them."""
    return [each for each in list_tables() if _run(["-t", "list", "table", *each]).returncode < 0]


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["nft", *arguments], text=True, check=False, capture_output=True)
    except FileNotFoundError:
        raise KernelRefused("nft is not installed") from None

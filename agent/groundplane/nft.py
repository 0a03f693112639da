"""nft(8): what is loaded seldom, and as text; and which tables it cannot read."""

import signal
import subprocess
from collections.abc import Sequence

from groundplane.errors import KernelRefused
from groundplane.privileges import net_admin_for_children
from groundplane.tables import Table, list_tables


def load(script: str) -> None:
    """Load *script* in one transaction; KernelRefused says what nft has against it.

    nft reads the tables of others, too, and may die of what a newer version of it wrote there
    (kubernetes#136786): then those tables are named.
    """
    run = _run(["-f", "-"], script)
    if run.returncode < 0:
        raise KernelRefused(_death(run.returncode))
    if run.returncode:
        raise KernelRefused(f"nft refused the ruleset: {run.stderr.strip()}")


def list_table(table: Table, *options: str) -> str:
    """Return what nft prints of *table*; KernelRefused when it cannot read it, and names its signal."""
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


def _death(code: int) -> str:
    what = f"nft was killed by {_name(code)}"
    try:
        tables = ", ".join(map(str, unreadable_tables()))
    except KernelRefused:
        tables = ""
    if not tables:
        return what
    return f"{what}: it cannot read table {tables}, which a newer nft made; remove it or update nft"


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _run(arguments: Sequence[str], script: str = "") -> subprocess.CompletedProcess[str]:
    try:
        with net_admin_for_children():
            return subprocess.run(
                ["nft", *arguments], input=script, text=True, check=False, capture_output=True
            )
    except FileNotFoundError:
        raise KernelRefused("nft is not installed") from None

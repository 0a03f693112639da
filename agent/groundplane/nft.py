"""nft(8): what is loaded seldom, and as text."""

import subprocess

from groundplane.errors import KernelRefused
from groundplane.privileges import net_admin_for_children


def load(script: str) -> None:
    """Load *script* in one transaction; KernelRefused says what nft has against it."""
    _run(["nft", "-f", "-"], script)


def listed(table: str) -> str:
    """Return the table *table*, a family and a name, as nft lists it; "" where there is none."""
    try:
        return _run(["nft", "list", "table", *table.split()], "")
    except KernelRefused:
        return ""


def _run(command: list[str], script: str) -> str:
    try:
        with net_admin_for_children():
            done = subprocess.run(command, input=script, text=True, check=True, capture_output=True)
    except FileNotFoundError:
        raise KernelRefused("nft is not installed") from None
    except subprocess.CalledProcessError as error:
        raise KernelRefused(f"nft refused the ruleset: {error.stderr.strip()}") from None
    return done.stdout

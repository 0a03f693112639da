"""nft(8): what is loaded seldom, and as text."""

import subprocess

from groundplane.errors import KernelRefused
from groundplane.privileges import net_admin_for_children


def load(script: str) -> None:
    """Load *script* in one transaction; KernelRefused says what nft has against it."""
    command = ["nft", "-f", "-"]
    try:
        with net_admin_for_children():
            subprocess.run(command, input=script, text=True, check=True, capture_output=True)
    except FileNotFoundError:
        raise KernelRefused("nft is not installed") from None
    except subprocess.CalledProcessError as error:
        raise KernelRefused(f"nft refused the ruleset: {error.stderr.strip()}") from None

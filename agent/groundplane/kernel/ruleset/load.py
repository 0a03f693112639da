"""Loads rulesets over netlink."""

import os
from collections.abc import Iterable
from contextlib import closing

from groundplane.errors import KernelRefused
from groundplane.kernel.netlink import Socket
from groundplane.kernel.ruleset.compiler import compile_ruleset
from groundplane.kernel.tables import BatchMessage, Table, removal, transaction


def load(text: str, *, instead_of: Iterable[Table] = ()) -> None:
    """Replace the tables *instead_of* with the ruleset *text*, in one transaction.

    The tables need not exist. KernelRefused names the part of the ruleset that the kernel rejected.
    """
    compiled = [*removal(instead_of), *compile_ruleset(text)]
    try:
        with closing(Socket()) as netlink:
            complaint = netlink.commit(transaction(compiled))
    except OSError as error:
        raise KernelRefused(f"the kernel took no ruleset: {error.strerror}") from None
    if complaint is not None:
        what = name_of(compiled, complaint.sequence)
        raise KernelRefused(f"the kernel refused the {what}: {os.strerror(complaint.code)}")


def name_of(compiled: list[BatchMessage], sequence: int) -> str:
    """Return what the message with the sequence number *sequence* creates."""
    return compiled[sequence - 1].what if 0 < sequence <= len(compiled) else "transaction"

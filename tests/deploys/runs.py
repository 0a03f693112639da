"""Deploys run in the test's own process, on this machine or on hosts that only pretend."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operations import run_ops
from pyinfra.context import ctx_inventory


def run(
    hosts: Sequence[str],
    data: Mapping[str, object],
    *steps: Callable[[State], object],
    serial: bool = False,
) -> State:
    """Have *hosts*, with *data*, take all *steps*; return what has become of them."""
    inventory = Inventory(([*hosts], {**data}))  # type: ignore[no-untyped-call]
    state = State(inventory, Config())  # type: ignore[no-untyped-call]
    with ctx_inventory.use(inventory):
        connect_all(state)
        for step in steps:
            step(state)
        with suppress(PyinfraError):  # no host is left
            run_ops(state, serial=serial)
    return state

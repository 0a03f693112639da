"""The lab of the hosts that are to be hypervisors, new for each module: they change its network."""

from collections.abc import Iterator

import pytest

from groundplane_deploys.lab import PreflightError, down, preflight, up
from tests.deploys.virtualization.hosts import LAB


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    try:
        preflight(LAB)
    except PreflightError as error:
        pytest.skip(f"no lab can be built here: {error}")
    down(LAB)
    try:
        up(LAB)
        yield
    finally:
        down(LAB)

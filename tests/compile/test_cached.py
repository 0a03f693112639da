"""Compiling with a cache: the same bytes and the same errors as a whole compile, after any change."""

from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings

from groundplane.compile import port_ids
from groundplane.compile.cached import compile_encoded
from groundplane.compile.pipeline import compile_source
from groundplane.compile.port_ids import POOLS
from groundplane.site.encoding import encode
from tests.compile.edits import EDITS, OPERATIONS, Edits, lock, ours, outcome, site, write


@pytest.fixture(params=[POOLS, 64], ids=["as it is", "crowded"])
def numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let service ports have so few numbers that one that comes or goes moves others."""
    monkeypatch.setattr(port_ids, "POOLS", request.param)


@pytest.mark.usefixtures("numbers")
@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(EDITS)
def test_after_any_change_it_is_what_a_whole_compile_is(
    edits: list[tuple[str, int, int, bool]],
) -> None:
    """Each edit is compiled, with the lock written before it is, or left as it was."""
    with TemporaryDirectory() as name:
        directory = Path(name) / "site"
        directory.mkdir()
        files = site()
        write(files, directory)
        lock(directory)
        cache = ours(Path(name))
        assert compile_encoded(directory, cache) == encode(compile_source(directory))
        for what, one, other, is_locked in edits:
            OPERATIONS[what](Edits(files, directory), one, other)
            write(deepcopy(files), directory)
            if is_locked:
                lock(directory)
            whole = outcome(lambda: encode(compile_source(directory)))
            assert whole == outcome(lambda: compile_encoded(directory, cache)), what

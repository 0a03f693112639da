"""The command and a good site for it."""

from pathlib import Path

import pytest

from tests.catalogs import write
from tests.cli.run import FILES, Command


@pytest.fixture
def groundplane(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.delenv("GROUNDPLANE_SOURCE", raising=False)
    # The limits are those of a process of its own.
    monkeypatch.setattr("groundplane.cli.compile.limit_this_process", lambda: None)
    return Command(capsys)


@pytest.fixture
def site(source: Path) -> Path:
    """Return `site`, filled with two services, two workloads and a node."""
    write(source, FILES)
    return source

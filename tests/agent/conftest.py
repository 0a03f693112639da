"""The directories of an agent that compiles in this process, which saves most of the time."""

from pathlib import Path

import pytest

from groundplane.agent import source_watcher
from groundplane.agent.compiler import compile_in_child
from tests.agent.fakes import Place, compile_here


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(source_watcher, "compile_in_child", compile_here)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    return Place(tmp_path)


@pytest.fixture
def child(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile in the child, as the agent does."""
    monkeypatch.setattr(source_watcher, "compile_in_child", compile_in_child)

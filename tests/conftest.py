"""What every test shares: the hypothesis profile, and a source directory to fill."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# `make unit` is to take less than a minute; `make test` looks further.
settings.register_profile("quick", max_examples=20, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write tests/golden again.")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty source directory, named `site` in every test, so that faults are exact."""
    monkeypatch.chdir(tmp_path)
    Path("site").mkdir()
    return Path("site")

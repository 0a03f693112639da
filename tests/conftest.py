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


@pytest.fixture(autouse=True, scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what commands cache away from the home directory."""
    home = tmp_path_factory.mktemp("home")
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
    os.environ["XDG_STATE_HOME"] = str(home / "state")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty source directory, named `site` in every test, so that faults are exact."""
    monkeypatch.chdir(tmp_path)
    Path("site").mkdir()
    return Path("site")

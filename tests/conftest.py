"""What every test shares: the hypothesis profile, and a source directory to fill."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("groundplane", max_examples=50, deadline=None)
settings.load_profile("groundplane")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write tests/golden anew.")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty source directory, named `site` in every test, so that faults are exact."""
    monkeypatch.chdir(tmp_path)
    Path("site").mkdir()
    return Path("site")

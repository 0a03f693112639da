"""One at a time, also among greenlets or threads of one process."""

import threading
import time
from pathlib import Path

import pytest

from groundplane_deploys.locks import lock_file


def test_the_second_waits_for_the_first_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    def second() -> None:
        with lock_file(tmp_path / "lock", "another build"):
            order.append("second")

    with lock_file(tmp_path / "lock", "another build"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(timeout=5)
    assert order == ["first", "second"]
    assert capsys.readouterr().err == "waiting for another build\n"

"""`groundplane agent exec-helper` refuses to start where nobody could ask it."""

import pytest

from groundplane.cli import main


def test_users_have_to_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["agent", "exec-helper", "--user", "no-such-user"])
    assert 1 == end.value.code
    assert "no-such-user and groundplane have to be users" in capsys.readouterr().err

"""What a text like 30000-32767 says."""

import pytest

from groundplane.net.ports import port_range


@pytest.mark.parametrize(
    ("text", "ports"),
    [("30000-32767", (30000, 32767)), ("1-65535", (1, 65535)), ("31000-31000", (31000, 31000))],
)
def test_a_range_has_a_first_and_a_last_port(text: str, ports: tuple[int, int]) -> None:
    assert port_range(text) == ports


@pytest.mark.parametrize(
    "text", ["", "30000", "30000-", "32767-30000", "0-9", "1-65536", "1 - 2", "1-2-3", "a-b", "٣-٤"]
)
def test_what_is_no_range_says_what_is(text: str) -> None:
    with pytest.raises(ValueError, match=rf'^"{text}" is not a range of ports like 30000-32767$'):
        port_range(text)

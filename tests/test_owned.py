"""What is ours is defined once, and the documentation says the same."""

import re
from pathlib import Path

import pytest

from groundplane.kernel import owned

ROOT = Path(__file__).parents[1]
CONSTANTS = {name: value for name, value in vars(owned).items() if name.isupper()}


def written(value: object) -> list[str]:
    """Return how the documentation writes a value: marks in hexadecimal, the rest as it is."""
    if isinstance(value, dict):
        return []  # shares of MARK_PROTOCOL_MASK
    if isinstance(value, tuple):
        return [text for each in value for text in written(each)]
    if isinstance(value, int) and value > 100_000:
        return [f"{value:#x}"]
    return [str(value)]


@pytest.mark.parametrize("name", CONSTANTS)
def test_the_page_says_what_is_ours(name: str) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    section = page.partition("\n## Ownership\n")[2].partition("\n## ")[0]
    for text in written(CONSTANTS[name]):
        assert f"`{text}`" in section


LITERALS = re.compile(r"gpw|groundplane[01]|label (set )?1[45]|0x474|priority -|\b7071\b|\b471\b")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "templates").glob("**/*.nft.j2")), ids=lambda p: p.name
)
def test_rulesets_take_it_from_there(path: Path) -> None:
    assert [] == LITERALS.findall(path.read_text())


def test_parts_of_a_mark_do_not_overlap() -> None:
    marks = [owned.mark_of(protocol, 0xFFFFF) for protocol in owned.MARK_PROTOCOLS]
    assert len(marks) == len(set(marks))
    for mark in marks:
        assert owned.IPVS_MARK == mark & owned.IPVS_MARK_MASK
    assert 0 == owned.IPVS_MARK_MASK & owned.MARK_PROTOCOL_MASK
    assert len({owned.MASQUERADED_LABEL, owned.IPVS_LABEL}) > 1

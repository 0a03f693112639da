"""What depends on the proxy mode is in the folder of the mode, and the value that it declares."""

import re
from itertools import chain
from pathlib import Path

import pytest

from groundplane.kernel import owned
from groundplane.net.proxy import MODES, mode_fault
from groundplane.proxies import proxies, proxy_of

ROOT = Path(__file__).parents[2]
COMPARED = re.compile(
    r"""proxy_mode\s*(==|!=|in\b|not\ in\b)\s*["'(\[{]   # with a name
      | ["'](ipvs|nftables)["']\s*(==|!=|in\b|not\ in\b)\s*\w*mode
      | groundplane\.proxies\.(ipvs|nftables)\b""",
    re.VERBOSE,
)
OF_MODES = (ROOT / "agent/groundplane/proxies", ROOT / "templates/proxies")
REGISTRY = ROOT / "agent/groundplane/net/proxy.py"


def sources() -> list[Path]:
    places = ("agent/groundplane", "deploys", "inventories", "templates", "tests/verify")
    found = chain.from_iterable((ROOT / place).rglob("*") for place in places)
    return [
        path
        for path in sorted(found)
        if path.is_file()
        and path.suffix in (".py", ".j2", ".sh")
        and "templates" not in path.relative_to(ROOT).parts[1:]  # the package's link
        and path != REGISTRY
        and not any(path.is_relative_to(each) for each in OF_MODES)
    ]


def test_nobody_else_compares_the_mode() -> None:
    assert len(sources()) > 300
    assert {} == {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := [line for line in path.read_text().splitlines() if COMPARED.search(line)])
    }


@pytest.mark.parametrize(
    "line",
    [
        'if base.proxy_mode == "ipvs":',
        '{% if base.proxy_mode != "ipvs" %}',
        'return "ipvs" in modes',
        "from groundplane.proxies.ipvs.plane import Ipvs",
    ],
)
def test_a_comparison_would_be_found(line: str) -> None:
    assert COMPARED.search(line)


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_called_by_the_name_that_lists_it(mode: str) -> None:
    assert mode == proxy_of(mode).name
    assert mode_fault(mode) is None


def test_what_is_not_listed_is_not_a_mode() -> None:
    assert '"ebpf" is not a proxy mode: nftables or ipvs' == mode_fault("ebpf")


def test_what_a_mode_owns_nobody_else_uses() -> None:
    names = [name for each in proxies() for name in each.owns]
    assert len(names) == len(set(names))
    assert {name for name in vars(owned) if name.startswith("IPVS")} <= set(names)
    assert [] == [name for name in names if not hasattr(owned, name)]
    used = re.compile(rf"\b({'|'.join(names)})\b")
    home = ROOT / "agent/groundplane/kernel/owned.py"
    assert {} == {
        str(path.relative_to(ROOT)): found
        for path in sources()
        if path != home and (found := used.findall(path.read_text()))
    }


def test_no_two_modes_share_a_dataplane() -> None:
    names = [name for each in proxies() for name in each.planes]
    assert sorted({*names, "nftables"}) == sorted([*names, "nftables"])

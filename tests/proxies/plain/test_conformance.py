"""A third mode, added from this folder alone, does to packets what the others do."""

from collections.abc import Iterator

import pytest

from tests.conformance.cases import CASES, STICKY, Case
from tests.conformance.running import (
    Run,
    answers_of,
    faults,
    listeners_asked,
    name_of,
    served,
    site_of,
    sticky_faults,
)
from tests.kernel.spaces import own
from tests.kernel.world import World, run
from tests.proxies.plain.registered import registered

pytestmark = [pytest.mark.kernel, pytest.mark.slow]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with registered():
        site = site_of("plain", tmp_path_factory.mktemp("plain"))
        with served(site, own("plain")) as built:
            yield built


@pytest.fixture(scope="module")
def answers(net: World) -> dict[Run, list[str]]:
    return answers_of(net)


def test_its_rules_are_what_packets_pass(net: World) -> None:
    tables = run(net.node("n1"), "nft", "list", "tables")
    assert "table ip groundplane-plain" in tables
    assert "groundplane-services" not in tables


@pytest.mark.parametrize("client", ["a", "c", "n1", "n2", "near", "far"])
def test_no_listener_of_the_host_answers_on_a_service_address(net: World, client: str) -> None:
    assert [] == listeners_asked(net, client)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_packets(net: World, answers: dict[Run, list[str]], case: Case) -> None:
    assert [] == faults(net, answers, case)


@pytest.mark.parametrize("case", STICKY, ids=name_of)
def test_a_client_stays_with_its_endpoint(
    net: World, answers: dict[Run, list[str]], case: Case
) -> None:
    assert [] == sticky_faults(net, answers, case)

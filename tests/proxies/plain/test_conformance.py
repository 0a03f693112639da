"""A third mode, added from this folder alone, does to packets what the others do."""

from collections.abc import Iterator

import pytest

from tests.conformance.cases import CASES, STICKY
from tests.conformance.running import (
    answers_of,
    faults,
    listeners_asked,
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


def test_its_rules_are_what_packets_pass(net: World) -> None:
    tables = run(net.node("n1"), "nft", "list", "tables")
    assert "table ip groundplane-plain" in tables
    assert "groundplane-services" not in tables


def test_no_listener_of_the_host_answers_on_a_service_address(net: World) -> None:
    clients = ("a", "c", "n1", "n2", "near", "far")
    assert [] == [found for client in clients for found in listeners_asked(net, client)]


def test_every_case(net: World) -> None:
    answers = answers_of(net)
    assert [] == [fault for case in CASES for fault in faults(net, answers, case)]
    assert [] == [fault for case in STICKY for fault in sticky_faults(net, answers, case)]

"""Messages to IPVS, and the kernel that takes them: beside ipvsadm, with nothing else of ours.

Needs root and a kernel with IPVS; nftables it needs not.
"""

from collections.abc import Iterator
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from groundplane.project.state import NodeState
from groundplane.proxies.ipvs import messages
from groundplane.proxies.ipvs.connection import Command, IpvsConnection
from groundplane.proxies.ipvs.objects import (
    Scheduling,
    ServerKey,
    Value,
    destination_value,
    is_destination,
    method_of,
    weight_of,
)
from groundplane.proxies.ipvs.render import render
from groundplane.proxies.ipvs.text import rules
from tests.kernel.ipvs import need_ipvs
from tests.kernel.spaces import namespace
from tests.kernel.world import run, within
from tests.states import full_states

pytestmark = pytest.mark.kernel


class Place:
    """A namespace, and a connection to its IPVS."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self.connection: IpvsConnection = within(netns, IpvsConnection)

    def run(self, service: int, destination: int, objects: dict[ServerKey, Value]) -> None:
        """Send one command for each of *objects*, by what it is."""
        commands = [
            Command(destination if is_destination(key) else service, key, value)
            for key, value in objects.items()
        ]
        within(self.netns, partial(self.connection.run, commands))

    def read(self) -> dict[ServerKey, Value]:
        """Return what there is, as the dataplane reads it."""
        found: dict[ServerKey, Value] = dict(self.connection.servers())
        for server in tuple(found):
            listed = self.connection.destinations(server)
            assert [(each.key, each.value) for each in listed] == self.connection.weighted(server)
            found.update((each.key, each.value) for each in listed)
        return found

    def saved(self) -> list[str]:
        return sorted(run(self.netns, "ipvsadm", "--save", "--numeric").splitlines())


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    need_ipvs()
    with namespace("encoder") as netns:
        made = Place(netns)
        yield made
        made.connection.close()


def objects_of(drawn: NodeState) -> dict[ServerKey, Value]:
    """Return the servers and destinations of a node with that mode, servers first."""
    wanted = NodeState(
        msgspec.structs.replace(drawn.base, proxy_mode="ipvs"), drawn.services, drawn.workloads
    )
    found = {k: v for part in wanted.parts for k, v in render(wanted.base, part).items()}
    return dict(sorted(found.items(), key=lambda each: is_destination(each[0])))


def other(value: Value) -> Value:
    """Return another value that the same object may have."""
    if isinstance(value, Scheduling):
        return value._replace(
            scheduler="wlc" if value.scheduler == "rr" else "rr", flags=0, timeout=0
        )
    return destination_value(weight_of(value) + 1, method_of(value))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=full_states())
def test_what_is_sent_is_there_and_is_changed_and_goes(place: Place, drawn: NodeState) -> None:
    objects = objects_of(drawn)
    changed = {key: other(value) for key, value in objects.items()}
    try:
        place.run(messages.NEW_SERVICE, messages.NEW_DEST, objects)
        assert sorted(rules(objects).splitlines()) == place.saved()
        assert objects == place.read()
        place.run(messages.SET_SERVICE, messages.SET_DEST, changed)
        assert sorted(rules(changed).splitlines()) == place.saved()
        assert changed == place.read()
        place.run(messages.DEL_SERVICE, messages.DEL_DEST, dict(reversed(changed.items())))
        assert [] == place.saved()
        assert {} == place.read()
    finally:
        run(place.netns, "ipvsadm", "--clear")

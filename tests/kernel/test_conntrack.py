"""Stale UDP entries and the kernel. Needs root: a namespace with a client, a service, endpoints."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import msgspec
import pytest

from groundplane.dataplanes.conntrack import (
    Conntrack,
    Flow,
    Frontend,
    Range,
    Scope,
    packed,
    stale,
)
from groundplane.kernel import netlink
from groundplane.net.address import pack, unpack
from groundplane.net.protocols import Family
from tests.kernel.spaces import namespace
from tests.kernel.world import Server, ip, run, within

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

# What stands for a service is one rule: the element of `endpoint` is where new flows go.
RULES = """\
table {ip} t {{
  map endpoint {{ type {type} : {type} . inet_service; }}
  chain nat-output {{
    type nat hook output priority -100;
    meta l4proto {{ tcp, udp }} th dport 53 dnat {ip} to {ip} daddr map @endpoint
  }}
}}
"""
PORT, TARGET = 53, 5353
Expected = dict[Frontend, tuple[bytes, ...]]


class Site:
    """The addresses of one family, and what is in the namespace behind them."""

    def __init__(self, netns: str, family: Family) -> None:
        self.netns, self.family = netns, family
        self.ip = "ip" if family == "IPv4" else "ip6"
        stem = "10.9.0." if family == "IPv4" else "fd00:9::"
        self.service, self.other, self.first, self.second = (
            f"{stem}{last}" for last in (10, 11, 21, 22)
        )
        bits = 32 if family == "IPv4" else 128
        for address in (self.service, self.other, self.first, self.second):
            ip(f"-n {netns} address add {address}/{bits} dev lo{'' if bits == 32 else ' nodad'}")
        kind = "ipv4_addr" if family == "IPv4" else "ipv6_addr"
        self.nft(RULES.format(ip=self.ip, type=kind))
        self.conntrack = within(netns, Conntrack)

    def nft(self, script: str) -> None:
        run(self.netns, "nft", script)

    def point(self, service: str, endpoint: str | None) -> None:
        """Let new flows to *service* go to *endpoint*, or untranslated."""
        listed = run(self.netns, "nft", "list", "map", self.ip, "t", "endpoint")
        if f"{service} :" in listed:
            self.nft(f"delete element {self.ip} t endpoint {{ {service} }}")
        if endpoint:
            self.nft(f"add element {self.ip} t endpoint {{ {service} : {endpoint} . {TARGET} }}")

    def client(self, protocol: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        def make() -> socket.socket:
            family = socket.AF_INET if self.family == "IPv4" else socket.AF_INET6
            made = socket.socket(family, protocol)
            made.settimeout(1)
            return made

        return within(self.netns, make)

    def flows(self) -> dict[int, Flow]:
        found = within(self.netns, partial(self.conntrack.flows, ["UDP"]))
        return {flow.id: flow for flow in found if flow.family == self.family}

    def of_tcp(self) -> set[bytes]:
        """Return the ids of the entries of TCP."""

        def dump() -> set[bytes]:
            found = set()
            body = netlink.netfilter(netlink.AF[self.family])
            for answer in netlink.Socket().ask(0x101, netlink.DUMP, body, whole=False):
                entry = dict(netlink.attributes(answer, 4))
                original = dict(netlink.attributes(entry[1]))
                if dict(netlink.attributes(original[2]))[1] == b"\x06":
                    found.add(entry[12])
            return found

        return within(self.netns, dump)

    def clean(self, *expectations: Expected) -> tuple[int, int, int]:
        """Delete what is stale; return how many entries there were, were stale, were deleted."""
        stem = self.service.rstrip("0123456789")
        services = Range(pack(f"{stem}1"), pack(f"{stem}19" if self.ip == "ip" else f"{stem}1f"))
        scope = Scope((services,), (), frozenset(), frozenset(), (30000, 32767))

        def look() -> tuple[int, int, int]:
            found = [each for each in self.conntrack.flows(["UDP"]) if each.family == self.family]
            expected = {key: who for each in expectations for key, who in each.items()}
            leaving = stale(found, expected, scope)
            return len(found), len(leaving), sum(map(self.conntrack.delete, leaving))

        return within(self.netns, look)

    def serve(self, name: str, address: str, port: int = TARGET) -> Server:
        return Server(self.netns, name, port, (address,))


def expect(service: str, *endpoints: str, port: int = TARGET) -> Expected:
    targets = tuple(packed(pack(each), port) for each in endpoints)
    return {(pack(service), PORT, protocol): targets for protocol in (6, 17)}


@pytest.fixture(params=["IPv4", "IPv6"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with namespace("ct") as netns, ExitStack() as stack:
        site = Site(netns, request.param)
        stack.callback(site.conntrack.close)
        for name, address in (("first", site.first), ("second", site.second)):
            stack.callback(site.serve(name, address).close)
        yield site


def ask(client: socket.socket, address: str) -> str:
    """Return which server answers a datagram of *client* to the service *address*."""
    client.sendto(b"?", (address, PORT))
    return client.recv(100).decode().split()[0]


def test_a_client_leaves_a_removed_endpoint_when_its_entry_is_deleted(site: Site) -> None:
    site.point(site.service, site.first)
    with site.client() as client:
        assert "first" == ask(client, site.service)
        site.point(site.service, site.second)
        assert "first" == ask(client, site.service)  # the rules are not asked again
        assert (1, 1, 1) == site.clean(expect(site.service, site.second))
        assert "second" == ask(client, site.service)
        assert (1, 0, 0) == site.clean(expect(site.service, site.second))


def test_what_is_right_is_left_alone(site: Site) -> None:
    site.point(site.service, site.first)
    site.point(site.other, site.second)
    with (
        site.client() as stale,
        site.client() as live,
        site.client() as elsewhere,
        site.client(socket.SOCK_STREAM) as stream,
    ):
        ask(stale, site.service)
        stream.connect((site.service, PORT))
        site.point(site.service, site.second)
        ask(live, site.service)
        ask(elsewhere, site.other)
        elsewhere.sendto(b"?", (site.first, TARGET))  # to the removed endpoint itself
        before = site.flows()
        assert 4 == len(before)
        streams = site.of_tcp()
        expected = (expect(site.service, site.second), expect(site.other, site.second))
        assert (4, 1, 1) == site.clean(*expected)
        after = site.flows()
        gone = [flow for number, flow in before.items() if number not in after]
        assert [(site.service, site.first)] == [
            (unpack(flow.destination), unpack(flow.reply_source)) for flow in gone
        ]
        assert before.keys() - {gone[0].id} == after.keys()
        assert b"first" == stream.recv(100).split()[0]
        assert 1 == len(streams)
        assert streams == site.of_tcp()


def test_an_entry_older_than_its_service_goes_when_the_service_comes(site: Site) -> None:
    with site.client() as client:
        client.sendto(b"?", (site.service, PORT))  # nobody listens, nothing is translated
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert (1, 0, 0) == site.clean()
        site.point(site.service, site.first)
        client.sendto(b"?", (site.service, PORT))
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert (1, 1, 1) == site.clean(expect(site.service, site.first))
        assert "first" == ask(client, site.service)


@pytest.mark.parametrize("deleted", [False, True])
def test_a_service_without_endpoints_or_without_being_keeps_no_client(
    site: Site, deleted: bool
) -> None:
    site.point(site.service, site.first)
    with site.client() as client:
        ask(client, site.service)
        site.point(site.service, None)
        assert (1, 1, 1) == site.clean(*([] if deleted else [expect(site.service)]))
        assert {} == site.flows()


def test_only_the_entry_with_the_id_is_deleted_and_only_once(site: Site) -> None:
    site.point(site.service, site.first)
    with site.client() as client:
        ask(client, site.service)
        (flow,) = site.flows().values()
        other = msgspec.structs.replace(flow, id=flow.id ^ 1)
        assert not within(site.netns, partial(site.conntrack.delete, other))
        assert {flow.id: flow} == site.flows()
        assert within(site.netns, partial(site.conntrack.delete, flow))
        assert not within(site.netns, partial(site.conntrack.delete, flow))


def test_an_entry_of_a_zone_is_deleted_in_its_zone(site: Site) -> None:
    site.nft(
        f"table {site.ip} zones {{ chain c {{ type filter hook output priority raw; "
        f"udp dport {PORT} ct zone set 7; udp sport {TARGET} ct zone set 7; }}; }}"
    )
    site.point(site.service, site.first)
    with site.client() as client:
        client.sendto(b"?", (site.service, PORT))
        assert 7 in {flow.zone for flow in site.flows().values()}
        _, stale, deleted = site.clean(expect(site.service, site.second))
        assert (1, 1) == (stale, deleted)


def test_many_entries(site: Site) -> None:
    count = 5_000
    site.point(site.service, site.first)

    def send() -> None:
        family = socket.AF_INET if site.family == "IPv4" else socket.AF_INET6
        for port in range(10_000, 10_000 + count):
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.bind((site.other, port))
                client.sendto(b"?", (site.service, PORT))

    within(site.netns, send)
    assert (count, 0, 0) == site.clean(expect(site.service, site.first))
    assert (count, count, count) == site.clean(expect(site.service, site.second))
    assert {} == site.flows()

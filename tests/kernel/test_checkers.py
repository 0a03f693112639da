"""What we render for the DNS server, to the checkers of BIND and Knot, and to a reader of zones."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import dns.rdatatype
import dns.reversename
import dns.zone
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from groundplane.dataplanes.dns import local_files, server_config
from groundplane.node.config_files import zone_files
from groundplane.project.state import NodeBase, NodeState
from groundplane.site.compiled import StubZone
from tests.kernel.named import KEY, SECRET
from tests.states import BASE, DOMAIN, of_family, states

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

few = settings(
    max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def zone_texts(wanted: NodeState) -> dict[str, str]:
    """Return the text of each zone by the zone's name."""
    files = zone_files(wanted)
    return {re.sub(r"zones/(.*)\.zone", r"\1", name): text for name, text in files.items()}


def accepted(*command: object) -> None:
    words = list(map(str, command))
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(words, capture_output=True, text=True)
    said = (done.stdout + done.stderr).splitlines()
    assert (0, []) == (done.returncode, [line for line in said if not QUIET.fullmatch(line)])


QUIET = re.compile(r"(zone .*: loaded serial 1|OK|)")
CHECKERS = [
    ("named-checkzone", "-k", "fail", "-i", "local", "{zone}", "{file}"),
    ("kzonecheck", "-o", "{zone}", "{file}"),
]


@pytest.mark.parametrize("command", CHECKERS, ids=lambda command: command[0])
@few
@given(wanted=states())
def test_every_rendered_zone_is_one(
    tmp_path: Path, command: tuple[str, ...], wanted: NodeState
) -> None:
    for zone, text in zone_texts(wanted).items():
        path = tmp_path / f"{zone}.zone"
        path.write_text(text)
        accepted(*(word.format(zone=zone, file=path) for word in command))


STUBS = (
    StubZone("corp.example", ("192.0.2.53",)),
    StubZone("10.in-addr.arpa", ("192.0.2.53", "2001:db8::53")),
)


@pytest.mark.parametrize("dnssec", [False, True], ids=["plain", "signed"])
@pytest.mark.parametrize("stubs", [(), STUBS], ids=["no stub", "stubs"])
@pytest.mark.parametrize("forwarders", [(), ("192.0.2.53", "2001:db8::53")], ids=["none", "some"])
@pytest.mark.parametrize(
    "base", [BASE, of_family("IPv4"), of_family("IPv6")], ids=["both", "IPv4", "IPv6"]
)
def test_every_rendered_configuration_is_one(
    tmp_path: Path,
    base: NodeBase,
    forwarders: tuple[str, ...],
    stubs: tuple[StubZone, ...],
    dnssec: bool,
) -> None:
    base = msgspec.structs.replace(base, forwarders=forwarders, stub_zones=stubs, dnssec=dnssec)
    for zone, text in zone_texts(NodeState.of(base, [])).items():
        (tmp_path / f"{zone}.zone").write_text(text)
    for zone, text in local_files(base).items():
        (tmp_path / f"{zone}.zone").write_text(text)
    (tmp_path / "key").write_text(KEY % SECRET)
    place = str(tmp_path)
    config = server_config(
        base, directory=place, journals=place, cache=place, key_file=f"{place}/key", local=place
    )
    (tmp_path / "named.conf").write_text(config)
    accepted("named-checkconf", "-z", tmp_path / "named.conf")


# ------------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """A service as a client can tell it from its names."""

    addresses: frozenset[str]
    ports: frozenset[tuple[str, str, int]] = frozenset()  # of which a client may try the target
    members: frozenset[tuple[str, str]] = frozenset()
    alias: str = ""


NOTHING = Seen(frozenset())


def declared(wanted: NodeState) -> dict[str, Seen]:
    found = {}
    for each in wanted.services.values():
        if each.external_name:
            seen = Seen(frozenset(), alias=f"{each.external_name}.")
        elif each.cluster_ips:
            ports = frozenset((f"_{p.name}", f"_{p.protocol.lower()}", p.port) for p in each.ports)
            seen = Seen(frozenset(each.cluster_ips), ports)
        else:
            seen = Seen(
                frozenset(member.address for member in each.members),
                frozenset(
                    (f"_{port.name}", f"_{port.protocol.lower()}", target)
                    for member in each.members
                    for port, target in zip(each.ports, member.targets, strict=True)
                    if target
                ),
                frozenset((member.label, member.address) for member in each.members),
            )
        if seen != NOTHING:
            found[f"{each.name}.{each.namespace}"] = seen
    return found


def read_back(text: str) -> dict[str, Seen]:
    """Return the services that the zone *text* of the cluster domain tells of."""
    zone = dns.zone.from_text(text, origin=f"{DOMAIN}.", relativize=False)
    sets: dict[tuple[str, str], dict[str, set[tuple[str, ...]]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for name, rdataset in zone.iterate_rdatasets():
        labels = name.to_text().removesuffix(f".{DOMAIN}.").split(".")
        if labels[-1] != "svc" or "_empty" in labels:
            continue
        service, below = ".".join(labels[-3:-1]), tuple(labels[:-3])
        type_ = dns.rdatatype.to_text(rdataset.rdtype)
        for rdata in rdataset:
            sets[service, "CNAME" if type_ == "CNAME" else ""][type_].add(
                (*below, *rdata.to_text().split())
            )
    found = {}
    for (service, alias), types in sets.items():
        if alias:
            ((target,),) = types["CNAME"]
            found[service] = Seen(frozenset(), alias=target)
            continue
        addresses = types["A"] | types["AAAA"]
        found[service] = Seen(
            frozenset(each[0] for each in addresses if len(each) == 1),
            frozenset((port, proto, int(number)) for port, proto, _, _, number, _ in types["SRV"]),
            frozenset((each[0], each[1]) for each in addresses if len(each) == 2),
        )
        for *_, target in types["SRV"]:
            assert target.endswith(f"{service}.svc.{DOMAIN}."), target
    return found


@settings(max_examples=50)
@given(wanted=states())
def test_the_services_of_a_state_can_be_read_back_from_its_zone(wanted: NodeState) -> None:
    assert declared(wanted) == read_back(zone_texts(wanted)[DOMAIN])


@settings(max_examples=50)
@given(wanted=states())
def test_every_pointer_leads_to_a_name_that_has_its_address(wanted: NodeState) -> None:
    names = dns.zone.from_text(zone_texts(wanted)[DOMAIN], origin=f"{DOMAIN}.", relativize=False)
    for zone, text in zone_texts(wanted).items():
        if not zone.endswith(".arpa"):
            continue
        reverse = dns.zone.from_text(text, origin=f"{zone}.", relativize=False)
        for owner, _, pointer in reverse.iterate_rdatas("PTR"):
            address = dns.reversename.to_address(owner)
            type_ = "AAAA" if ":" in address else "A"
            rdataset = names.find_rdataset(pointer.to_text(), type_)
            assert address in {rdata.to_text() for rdata in rdataset}

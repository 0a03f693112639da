"""Files for a site that delegates the reverse names of a part of a /24 (RFC 2317)."""

import subprocess
from pathlib import Path

import dns.name
import dns.zone
import msgspec
import pytest

from groundplane.dataplanes.dns.classless import classless_files, is_classless
from groundplane.dataplanes.dns.records import Record, render
from groundplane.node.config_files import node_files
from tests.states import BASE, service, state

NAME = "0-26.0.96.10.in-addr.arpa"
WEB = "web.default.svc.cluster.local."


def pointers(*addresses: str) -> list[Record]:
    return [record for record in render(BASE, service("web", addresses)) if record.type == "PTR"]


def test_a_range_within_a_24_is_a_zone_and_lines_for_the_zone_above() -> None:
    files = classless_files("10.96.0.0/26", pointers("10.96.0.5", "fd00:96::5"))
    assert [f"{NAME}.zone", f"{NAME}.parent"] == list(files)
    zone = dns.zone.from_text(files[f"{NAME}.zone"], "0/26.0.96.10.in-addr.arpa.", relativize=False)
    found = [f"{owner} {data}" for owner, _, data in zone.iterate_rdatas("PTR")]
    assert [f"5.0/26.0.96.10.in-addr.arpa. {WEB}"] == found
    lines = files[f"{NAME}.parent"].splitlines()
    assert ("0 5 IN CNAME 0.0/26", "63 5 IN CNAME 63.0/26", 65) == (lines[1], lines[-1], len(lines))


def test_a_parent_zone_with_the_lines_leads_to_the_names(tmp_path: Path) -> None:
    """As the servers of both zones load them."""
    files = classless_files("10.96.0.64/27", pointers("10.96.0.70"))
    name = "64-27.0.96.10.in-addr.arpa"
    soa = "@ 5 IN SOA ns.example. host.example. 1 7200 1800 86400 5\n@ 5 IN NS ns.example.\n"
    parent = f"{soa}64/27 IN NS ns.example.\n{files[f'{name}.parent']}"
    loaded = dns.zone.from_text(parent, "0.96.10.in-addr.arpa.", relativize=False)
    leads = loaded.get_rdataset("70.0.96.10.in-addr.arpa.", "CNAME")
    assert leads is not None
    assert "70.64/27.0.96.10.in-addr.arpa." == leads[0].to_text()
    zone = tmp_path / "zone"
    zone.write_text(files[f"{name}.zone"])
    command = ["named-checkzone", "-k", "fail", "64/27.0.96.10.in-addr.arpa", str(zone)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("10.96.0.0/25", True),
        ("10.96.0.0/31", True),
        ("10.96.0.0/24", False),
        ("10.96.0.0/16", False),
        ("10.96.0.1/32", False),
        ("fd00:96::/112", False),
    ],
)
def test_files_are_for_parts_of_a_24_alone(cidr: str, expected: bool) -> None:
    assert expected == is_classless(cidr)
    base = msgspec.structs.replace(BASE, service_cidrs=(cidr,))
    files = node_files(state(service("web", ["10.96.0.1"]), base=base))
    assert expected == any(name.startswith("rfc2317/") for name in files)

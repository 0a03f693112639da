"""Addresses and ranges: one text for each, and bytes that are the kernel's."""

import re
from ipaddress import IPv6Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.net import address
from groundplane.net.address import dashed

IPV6 = st.integers(0, (1 << 128) - 1).map(IPv6Address).filter(lambda ip: ip.ipv4_mapped is None)
ADDRESSES = st.one_of(st.ip_addresses(v=4), IPV6)


@given(packed=st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)))
def test_bytes_and_text_of_an_address_are_each_others_inverse(packed: bytes) -> None:
    assert address.pack(address.unpack(packed)) == packed


@given(ip=IPV6)
def test_an_address_has_one_text_however_it_is_written(ip: object) -> None:
    """RFC 5952."""
    exploded = getattr(ip, "exploded", "").upper()
    assert address.canonical(exploded) == address.canonical(str(ip))


@given(ip=ADDRESSES)
def test_a_number_and_its_address_are_each_others_inverse(ip: object) -> None:
    text = address.canonical(str(ip))
    assert address.from_int(address.to_int(text), address.family_of(text)) == text


@pytest.mark.parametrize("text", ["", "web", "10.0.0", "010.0.0.1", "10.0.0.1/24", "fd00::1%eth0"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an IP address$"):
        address.pack(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("10.96.0.0/16", "10.96.0.0/16"), ("FD00:0::/112", "fd00::/112"), ("0.0.0.0/0", "0.0.0.0/0")],
)
def test_a_range_has_one_text(text: str, canonical: str) -> None:
    assert address.canonical_range(text) == canonical


@pytest.mark.parametrize(
    "prefix", ["255.255.0.0", "0.0.255.255", "016", "+16", "1_6", "16 ", "16\n", "16"]
)
def test_a_prefix_length_is_plain_digits(prefix: str) -> None:
    """What is read leniently here would be read otherwise by the kernel's tools."""
    text = f"10.96.0.0/{prefix}"
    try:
        found = str(address.network(text))
    except ValueError as error:
        found = str(error)
    assert found == (text if prefix == "16" else f'"{text}" is written "10.96.0.0/16"')


@pytest.mark.parametrize("text", ["", "/", "web", "10.96/16", "10.0.0.0/33", "10.0.0.0/-1", "a/8"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address range like 10\.96\.0\.0/16 or fd00"):
        address.network(text)


@pytest.mark.parametrize(
    ("cidr", "text", "inside"),
    [
        ("10.96.0.0/24", "10.96.0.0", True),
        ("10.96.0.0/24", "10.96.0.255", True),
        ("10.96.0.0/24", "10.96.1.0", False),
        ("fd00::/64", "fd00::1", True),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_an_address_in_a_range(cidr: str, text: str, inside: bool) -> None:
    assert address.contains(cidr, text) == inside


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("10.0.0.0/8", "10.96.0.0/16", True),
        ("10.96.0.0/24", "10.96.1.0/24", False),
        ("fd00::/48", "fd00::/64", True),
        ("0.0.0.0/0", "::/0", False),
    ],
)
def test_ranges_overlap_both_ways(one: str, other: str, shared: bool) -> None:
    assert (address.overlap(one, other), address.overlap(other, one)) == (shared, shared)


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("10.244.1.10", "10-244-1-10"),
        ("fd00:244:0:1::10", "fd00-244-0-1--10"),
        ("::1", "0--1"),
        ("fd00::", "fd00--0"),
        ("::", "0--0"),
    ],
)
def test_an_address_is_a_label_of_a_name(address: str, label: str) -> None:
    assert label == dashed(address)


@given(ends=st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1)))
def test_a_range_by_its_ends_comes_to_prefixes_that_cover_it(ends: tuple[int, int]) -> None:
    first, last = sorted(ends)
    text = f"{address.from_int(first, 'IPv4')}-{address.from_int(last, 'IPv4')}"
    found = [address.first_last(each) for each in address.prefixes(text)]
    assert address.first_last(text) == (first, last) == (found[0][0], found[-1][1])
    assert all(after == before + 1 for (_, before), (after, _) in pairwise(found))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("192.0.2.9-192.0.2.1", '"192.0.2.9-192.0.2.1" ends before it begins'),
        ("192.0.2.9-fd00::1", '"192.0.2.9-fd00::1" has ends of both families'),
        ("192.0.2.9-", '"" is not an IP address'),
        ("192.0.2.0/24-192.0.3.0", '"192.0.2.0/24" is not an IP address'),
        ("192.0.2.1-2-3", '"2-3" is not an IP address'),
    ],
)
def test_what_is_no_range_by_its_ends(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        address.first_last(text)

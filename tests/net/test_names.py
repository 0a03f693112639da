"""The forms that names have: what is one, and what the fault says of what is none."""

import pytest

from groundplane.net import names

_LABEL = "lower-case letters, digits and inner hyphens (RFC 1123)"
_PORT = "lower-case letters, digits and single inner hyphens, at least one letter (RFC 6335)"


@pytest.mark.parametrize("name", ["a", "web", "1web", "web-1", "w--b", "0", "a" * 63])
def test_dns_labels(name: str) -> None:
    """RFC 1123, 2.1."""
    assert names.dns_label(name) is None


@pytest.mark.parametrize("name", ["", "Web", "web_1", "-web", "web-", "a.b", "wéb", "web\n", "1٣"])
def test_no_dns_labels(name: str) -> None:
    assert names.dns_label(name) == f'"{name}" is not a DNS label: {_LABEL}'


def test_a_label_has_at_most_63_characters() -> None:
    assert names.dns_label("a" * 64) == (
        '"aaaaaaaaaaaaaaaaaaaa…" has 64 characters; a name has at most 63'
    )


@pytest.mark.parametrize("name", ["http", "a", "8a", "a-b", "a" * 15])
def test_port_names(name: str) -> None:
    assert names.port_name(name) is None


@pytest.mark.parametrize("name", ["", "80", "1-2", "a--b", "-a", "a-", "HTTP", "a_b"])
def test_no_port_names(name: str) -> None:
    assert names.port_name(name) == f'"{name}" is not a port name: {_PORT}'


def test_a_port_name_has_at_most_15_characters() -> None:
    assert (
        names.port_name("a" * 16) == f'"{"a" * 16}" has 16 characters; a port name has at most 15'
    )


@pytest.mark.parametrize("name", ["cluster.local", "a.b.c.", "local", "10.in-addr.arpa"])
def test_domains(name: str) -> None:
    assert names.domain(name) is None


@pytest.mark.parametrize(
    ("name", "label"), [("", ""), ("a..b", ""), ("a.B", "B"), (".a", ""), ("a;b", "a;b")]
)
def test_no_domains(name: str, label: str) -> None:
    assert names.domain(name) == f'"{label}" is not a DNS label: {_LABEL}'


def test_a_domain_has_at_most_253_characters() -> None:
    assert names.domain(".".join(["a" * 63] * 4)) == (
        "a domain has at most 253 characters, this one 255"
    )


@pytest.mark.parametrize("value", ["", "a", "A.b_c-1", "a" * 63])
def test_label_values(value: str) -> None:
    assert names.label_value(value) is None


@pytest.mark.parametrize("value", ["-a", "a-", "a b", "é", "a" * 64, "a\n"])
def test_no_label_values(value: str) -> None:
    assert names.label_value(value) == (
        f'"{value}" is not a label value: at most 63 letters, digits, "-", "_" and "."'
    )


@pytest.mark.parametrize("key", ["app", "app.kubernetes.io/name", "A_b.c", "x/" + "a" * 63])
def test_label_keys(key: str) -> None:
    assert names.label_key(key) is None


@pytest.mark.parametrize("key", ["", "/a", "a/", "A.b/c", "a b", "a" * 64, "a/b/c", "a\n"])
def test_no_label_keys(key: str) -> None:
    assert names.label_key(key) == (
        f'"{key}" is not a label key: letters, digits, "-", "_", ".", with an optional domain/'
    )


@pytest.mark.parametrize("port", [1, 80, 65535])
def test_ports(port: int) -> None:
    assert names.port_number(port) is None


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30])
def test_no_ports(port: int) -> None:
    assert names.port_number(port) == f"{port} is not a port: 1 to 65535"

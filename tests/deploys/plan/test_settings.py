"""What the deploy tells an agent by its environment."""

import pytest

from groundplane_deploys.plan.settings import BadAddress, environment, listening_address


@pytest.mark.parametrize(
    ("text", "addresses", "found"),
    [
        ("", ["192.0.2.1"], ""),
        ("127.0.0.1:10249", ["192.0.2.1"], "127.0.0.1:10249"),
        ("[::]:10249", ["192.0.2.1"], "[::]:10249"),
        ("node:10249", ["192.0.2.1", "2001:db8::1"], "192.0.2.1:10249"),
        ("node:9", ["2001:db8::1"], "[2001:db8::1]:9"),
    ],
)
def test_where_prometheus_asks(text: str, addresses: list[str], found: str) -> None:
    assert found == listening_address(text, addresses)


@pytest.mark.parametrize(
    "text", ["10249", ":10249", "n1:10249", "::1:10249", "192.0.2.1:", "node:0"]
)
def test_what_is_no_address_with_a_port_is_refused(text: str) -> None:
    with pytest.raises(BadAddress, match="metrics_address: "):
        listening_address(text, ["192.0.2.1"])


def test_the_environment_has_a_line_for_each_setting() -> None:
    assert environment("n1", "/etc/groundplane/catalog", "").splitlines() == [
        "GROUNDPLANE_NODE=n1",
        "GROUNDPLANE_SOURCE=/etc/groundplane/catalog",
        "GROUNDPLANE_METRICS_ADDRESS=",
    ]

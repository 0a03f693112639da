"""How machines are reached: no value is more than data to ssh, known_hosts, sudo or Ansible."""

import base64
import json
from pathlib import Path

import pytest

from groundplane.check.management import host_fault, key_file_fault, user_fault
from groundplane.check.public_keys import public_key_fault
from tests.catalogs import PUBLIC_KEY, SITE
from tests.check.test_hypervisors import hypervisor
from tests.check.test_machines import told


def node(**management: object) -> str:
    return (
        "apiVersion: groundplane/v1\nkind: Node\nmetadata: {name: n2}\n"
        f"spec: {{addresses: [192.0.2.2], management: {json.dumps(management)}}}\n"
    )


def test_what_management_may_say(source: Path) -> None:
    text = node(
        host="N2.example.", user="first.last", keyFile="~/my keys/n2", hostKeys=[PUBLIC_KEY]
    )
    assert [] == told(source, text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "-oProxyCommand=touch /tmp/pwned"),
        ("user", "{{ lookup('pipe', 'id') }}"),
        ("keyFile", "{{ lookup('pipe', 'id') }}"),
        ("hostKeys[0]", f"{PUBLIC_KEY}\nother.example {PUBLIC_KEY}"),
    ],
)
@pytest.mark.parametrize("kind", ["Node/n2", "Hypervisor/h1"])
def test_every_field_of_every_kind_is_validated(
    source: Path, kind: str, field: str, value: str
) -> None:
    name, listed, _ = field.partition("[")
    management: dict[str, object] = {"host": "h1", name: [value] if listed else value}
    text = (
        node(**management)
        if kind.startswith("Node")
        else hypervisor(spec=f"management: {json.dumps(management)}")
    )
    (found,) = told(source, text, SITE)
    assert found.startswith(f"{kind}: spec.management.{field}: ")


@pytest.mark.parametrize("host", ["n1", "192.0.2.1", "2001:db8::1", "N1.Example.net", "a.b."])
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    assert host_fault(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=id",
        "-F/tmp/config",
        "root@n1",
        "ssh://n1",
        "n1 n2",
        "n1\nn2",
        "n1\n",
        "n1,n2",
        "*",
        "!n1",
        "|1|salt|hash",
        "@cert-authority",
        "[n1]:22",
        "fe80::1%$(id)",
        "{{ x }}",
        "$(id)",
        "a/../b",
        "n\u0131",
    ],
)
def test_no_other_host_is_taken(host: str) -> None:
    assert host_fault(host)


@pytest.mark.parametrize("user", ["root", "_apt", "first.last", "a-1", "u" * 32])
def test_a_user_is_that_of_a_linux_machine(user: str) -> None:
    assert user_fault(user) is None


@pytest.mark.parametrize(
    "user",
    [
        "",
        "-oProxyCommand=id",
        "{{ x }}",
        "$(id)",
        "a;b",
        "a b",
        "a\nb",
        "a\n",
        "root@n1",
        "%sudo",
        "#0",
        "ALL",  # sudo's word for everybody, in a VM's rule for this user
        "u" * 33,
    ],
)
def test_no_other_user_is_taken(user: str) -> None:
    assert user_fault(user)


@pytest.mark.parametrize("path", ["keys/admin", "~/.ssh/id_ed25519", "/keys/a b", "/clés/a"])
def test_a_key_file_is_a_path(path: str) -> None:
    assert key_file_fault(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "-oProxyCommand=id",
        "{{ x }}",
        "{% x %}",
        "{# x #}",
        "a\nb",
        "a\x1bb",
        'a" -oProxyCommand="id',
        "a'b",
        "`id`",
        "$(id)",
        "%d",
        "a\\b",
    ],
)
def test_no_other_key_file_is_taken(path: str) -> None:
    assert key_file_fault(path)


@pytest.mark.parametrize("comment", ["", " me", " me at home"])
def test_a_public_key_may_have_a_comment(comment: str) -> None:
    assert public_key_fault(PUBLIC_KEY + comment) is None


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 not+base64!",
        f"ssh-ed25519 {encoded(b'  ' + b'ssh-ed25519')}",
        f"ssh-ed25519 {encoded((11).to_bytes(4, 'big') + b'ssh-ed25519')}",
        PUBLIC_KEY.replace("ssh-ed25519", "ssh-rsa"),
        PUBLIC_KEY.replace("ssh-ed25519", "ssh-unknown"),
        PUBLIC_KEY.replace(" ", "  "),
        PUBLIC_KEY.replace(" ", "\t"),
        f" {PUBLIC_KEY}",
        f"n1 {PUBLIC_KEY}",
        f"@cert-authority * {PUBLIC_KEY}",
        f'command="id" {PUBLIC_KEY}',
        f"{PUBLIC_KEY}\nother {PUBLIC_KEY}",
        f"{PUBLIC_KEY}\n",
        f"{PUBLIC_KEY} a\x0bb",
        f"{PUBLIC_KEY} a\u2028b",
        f"{PUBLIC_KEY} a\x00b",
    ],
)
def test_no_other_text_is_a_public_key(key: str) -> None:
    assert public_key_fault(key)

"""Host keys of VMs are pinned under every name that their Node is reached by."""

from pathlib import Path

from groundplane_deploys.vm_keys import format_known_hosts, pin, pinned_file, read_pinned
from tests.catalogs import read

NODES = """\
apiVersion: groundplane/v1
kind: Node
metadata: {name: v1}
spec: {addresses: [192.0.2.11, "2001:db8::11"]}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: v2}
spec: {addresses: [192.0.2.12], management: {host: v2.example, port: 2222}}
"""


def test_every_name_and_address_has_the_key(tmp_path: Path) -> None:
    keys = {"v2": "ssh-ed25519 BBBB", "v1": "ssh-ed25519 AAAA", "gone": "ssh-ed25519 CCCC"}
    assert format_known_hosts(read(tmp_path, NODES), keys) == (
        "v1,192.0.2.11,2001:db8::11 ssh-ed25519 AAAA\n"
        "[v2]:2222,[192.0.2.12]:2222,[v2.example]:2222 ssh-ed25519 BBBB\n"
    )


def test_what_is_pinned_is_that_of_all_hypervisors(tmp_path: Path) -> None:
    assert read_pinned(tmp_path) == ""
    for name in ("hv2", "hv1"):
        pin(pinned_file(name, tmp_path / "keys"), f"{name}\n")
    assert read_pinned(tmp_path / "keys") == "hv1\nhv2\n"

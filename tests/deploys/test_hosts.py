"""Hosts come from Node documents."""

from pathlib import Path

from groundplane.load import load
from groundplane_deploys.hosts import KNOWN_HOSTS, groups_of, pin_host_keys

CATALOG = """
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: test}
spec:
  serviceCIDRs: [10.96.0.0/16]
  workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}]
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: plain}
spec: {addresses: [192.168.1.1]}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: special}
spec:
  addresses: [192.168.1.2]
  management:
    host: special.example
    port: 2222
    user: admin
    keyFile: /keys/admin
    hostKeys: [ssh-ed25519 AAAA]
"""


def test_a_node_is_reached_by_its_address_and_its_management_fields(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(CATALOG)
    plain, special = groups_of(load(tmp_path))["nodes"]
    assert plain == (
        "plain",
        {
            "ssh_hostname": "192.168.1.1",
            "ssh_port": 22,
            "ssh_user": "root",
            "ssh_strict_host_key_checking": "yes",
            "node_name": "plain",
        },
    )
    assert special == (
        "special",
        {
            "ssh_hostname": "special.example",
            "ssh_port": 2222,
            "ssh_user": "admin",
            "ssh_strict_host_key_checking": "yes",
            "ssh_known_hosts_file": str(KNOWN_HOSTS),
            "ssh_key": "/keys/admin",
            "node_name": "special",
            "_sudo": True,
        },
    )


def test_pinned_host_keys_are_those_of_the_address_that_ssh_uses(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(CATALOG)
    pin_host_keys(load(tmp_path), tmp_path / "cache" / "known_hosts")
    pinned = (tmp_path / "cache" / "known_hosts").read_text()
    assert pinned == "[special.example]:2222 ssh-ed25519 AAAA\n"

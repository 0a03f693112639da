"""A node with Debian 13: another Python, systemd, BIND, nft and iproute2."""

from collections.abc import Iterator

import pytest

from groundplane_deploys.lab.site import DEBIAN, SERVERS
from tests.sites import Site, site_of

pytestmark = pytest.mark.nodes

PREFIX = "gp-test13"
SITE = f"""\
apiVersion: groundplane/v1
kind: Cluster
metadata: {{name: thirteen, labels: {{{SERVERS}: example}}}}
spec:
  serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
  workloadCIDRs:
  - {{cidr: 10.244.0.0/16, nodePrefix: 24}}
  - {{cidr: "fd00:10:244::/48", nodePrefix: 64}}
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: d13, labels: {{{DEBIAN}: "13"}}}}
spec: {{addresses: [192.168.50.13, "fd50::13"]}}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: web, labels: {{app: web}}}}
spec: {{node: d13, ports: [{{name: http, port: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ipFamilyPolicy: RequireDualStack, selector: {{app: web}}, ports: [{{port: 80, targetPort: http}}]}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    source = tmp_path_factory.mktemp("thirteen")
    (source / "site.yaml").write_text(SITE)
    with site_of(source, PREFIX) as made:
        made.run("groundplane", "allocate", str(source))
        made.deploy("nodes", "deploys/site.py", "examples/lab/workloads.py")
        yield made


def test_it_is_deployed_and_verified(site: Site) -> None:
    assert "13" == site.on("d13", "cut -d . -f 1 /etc/debian_version").strip()
    assert " failed" not in site.run("pytest", "-q", "-p", "no:cacheprovider", "tests/verify")
    assert {"web"} == site.answers("d13")


def test_a_second_deploy_changes_nothing(site: Site) -> None:
    assert [] == site.deploy("nodes", "deploys/site.py", "examples/lab/workloads.py")

"""A site's own repository deploys with the installed package, without a checkout of the project."""

import os
import subprocess
from pathlib import Path

import pytest

from groundplane_deploys.catalog import ROOT
from tests.deploys.installation import install
from tests.nodes.conftest import EVERY_WEB, WEB, Deployed

pytestmark = pytest.mark.nodes

DEPLOY = """\
from groundplane_deploys.machine import node

node()
"""


def test_a_site_deploys_with_the_installed_package(site: Deployed, tmp_path: Path) -> None:
    python = install(tmp_path / "installed")
    own = tmp_path / "site"
    own.mkdir()
    (own / "inventory.py").write_text((ROOT / "inventories/lab.py").read_text())
    (own / "our_deploy.py").write_text(DEPLOY)
    environment = site.environment | {
        "HOME": str(tmp_path),
        "PATH": f"{ROOT / '.cache/uv/bin'}:{os.environ['PATH']}",
    }

    def deploy() -> str:
        done = subprocess.run(
            [python, "-m", "pyinfra", "-y", "--limit", "n1", "inventory.py", "our_deploy.py"],
            cwd=own,
            env=environment,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    deploy()
    assert "No changes" in deploy()
    assert EVERY_WEB == set(site.connect("n1", "", WEB, 80, count=60))
    site.run("pyinfra", "-y", "--limit", "n1", "inventories/lab.py", "deploys/node.py")

"""The catalog itself on the nodes, without a server: what the deploy does when no source is named."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from groundplane_deploys.catalog import ROOT
from tests.nodes.conftest import CATALOG, EVERY_WEB, WEB, Deployed

pytestmark = pytest.mark.nodes


@pytest.fixture(scope="module")
def copied(site: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The site from a directory on each node; from the server again afterwards."""
    source = tmp_path_factory.mktemp("site") / "catalog"
    shutil.copytree(ROOT / "examples" / "lab", source)
    deployed = replace(site, source=source)
    try:
        deployed.deploy("deploys/site.py")
        yield deployed
    finally:
        site.deploy("deploys/site.py")
        site.wait_for_commit(site.git("rev-parse", "HEAD"))


def test_the_nodes_have_the_catalog_and_no_key(copied: Deployed) -> None:
    for node in copied.lab.nodes:
        assert CATALOG == copied.status(node.name)["source"]
        assert "agent.env\ncatalog\nrebuild-zones\n" == copied.on(node.name, "ls /etc/groundplane")
    done = copied.deploy("deploys/site.py")["results"]["operations"]
    assert [] == [each["name"] for each in done if each["success"] or each["error"]]


def test_a_removed_endpoint_gets_no_new_connection_after_a_second(copied: Deployed) -> None:
    copied.edit("n1", "web.yaml", lambda text: text.rstrip() + '\n  state: "off"\n')
    time.sleep(1)
    counts = copied.connect("n1", "default-echo-1", WEB, 80, count=300)
    assert {"web-1", "web-2"} == set(counts)
    copied.deploy("deploys/site.py")
    copied.wait(
        lambda: EVERY_WEB == set(copied.connect("n1", "", WEB, 80, count=60)), 5, "web-3 is back"
    )


def test_an_empty_directory_changes_nothing(copied: Deployed) -> None:
    copied.on("n2", f"mv {CATALOG} /etc/groundplane/away && mkdir {CATALOG}")
    try:
        copied.wait(lambda: bool(copied.status("n2")["sourceError"]), 5, "no documents are seen")
        assert EVERY_WEB == set(copied.connect("n2", "", WEB, 80, count=60))
    finally:
        copied.on("n2", f"rmdir {CATALOG}; mv /etc/groundplane/away {CATALOG}")
    copied.wait(lambda: copied.status("n2")["healthy"], 5, "the agent is content again")

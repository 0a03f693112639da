"""Beside a table of a newer nft(8), of which the node's own dies: it is named, and the rest works."""

import subprocess
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from groundplane.kernel import nft
from groundplane.kernel.tables import Table, list_tables, remove_tables
from tests.kernel import spaces
from tests.kernel.living import SITE, living
from tests.kernel.newer_nft import add_unreadable_set
from tests.kernel.world import within

pytestmark = pytest.mark.kernel


@pytest.fixture
def netns() -> Iterator[str]:
    with spaces.namespace("newer") as name:
        within(name, partial(add_unreadable_set, "ip", "theirs", "ports"))
        if not within(name, nft.unreadable_tables):
            pytest.skip("this nft reads what newer ones write")
        yield name


def test_other_tables_are_listed_and_removed(netns: str) -> None:
    within(netns, partial(add_unreadable_set, "ip6", "more", "ports"))
    assert [Table("ip", "theirs"), Table("ip6", "more")] == within(netns, list_tables)
    within(netns, partial(remove_tables, [Table("ip6", "more"), Table("bridge", "none")]))
    assert [Table("ip", "theirs")] == within(netns, list_tables)


@pytest.mark.slow
def test_the_agent_goes_on_and_the_commands_work(tmp_path: Path) -> None:
    """The first load, changes of elements, another framework, the doctor, the bundle, the clean-up."""
    with living("newer", tmp_path) as agent:
        within(agent.netns, partial(add_unreadable_set, "ip", "theirs", "ports"))
        if not within(agent.netns, nft.unreadable_tables):
            pytest.skip("this nft reads what newer ones write")
        agent.start()
        agent.until_healthy()
        agent.write(
            {"site.yaml": SITE.replace("spec:\n", "spec:\n  clusterIPsFromOutside: drop\n", 1)}
        )
        dropped = "fib saddr type != local drop"
        agent.until(
            lambda: dropped in agent.nft("list", "chain", "ip", "groundplane-services", "internal")
        )
        agent.write({"site.yaml": SITE.replace("port: 80,", "port: 8000,")})
        agent.until(lambda: "8000" in agent.nft("list", "table", "ip", "groundplane-services"), 5)
        command = agent.command("doctor", "--node", "n1", str(agent.source))
        doctor = subprocess.run(command, text=True, capture_output=True).stdout
        assert "nft is killed by SIGSEGV when it reads table ip theirs" in doctor
        file = tmp_path / "b.tar.gz"
        agent.groundplane("debug", "bundle", str(file), "--state-directory", str(agent.state))
        with tarfile.open(file) as archive:
            tables = archive.extractfile("groundplane/kernel/tables.txt")
            assert tables is not None
            assert b"table ip theirs\n" in tables.read()
            rules = archive.extractfile("groundplane/kernel/ruleset.nft")
            assert rules is not None
            text = rules.read()
        assert b"table bridge groundplane" in text
        assert b"# nft is killed by SIGSEGV when it reads table ip theirs" in text
        agent.stop()
        clean = ("agent", "cleanup", "--node", "n1", "--without-dns")
        done = agent.groundplane(*clean, "--state-directory", str(agent.state))
        assert (0, "") == (done.returncode, done.stderr)
        assert [Table("ip", "theirs")] == within(agent.netns, list_tables)

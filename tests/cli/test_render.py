"""`groundplane render`."""

from pathlib import Path

from groundplane.compile.pipeline import compile_source
from groundplane.node.config_files import node_files
from groundplane.project import project
from tests.cli.run import Command, Done


def test_every_file_of_the_node_is_written(groundplane: Command, site: Path) -> None:
    files = node_files(project(compile_source(site), "n1", frozenset()))
    done = groundplane("render", "--node", "n1", "-o", "out", "site")
    assert Done(0, "", f"out: {len(files)} files for Node/n1\n") == done
    paths = [path for path in Path("out").rglob("*") if path.is_file()]
    written = {str(path.relative_to("out")): path.read_text() for path in paths}
    assert files == written


def test_health_is_applied(groundplane: Command, site: Path) -> None:
    Path("health").write_text("default/a: false\n")
    groundplane("render", "--node", "n1", "-o", "out", "site")
    assert "10.244.1.10 . 8080" in Path("out/nftables.nft").read_text()
    groundplane("render", "--node", "n1", "-o", "out", "--health", "health", "site")
    assert "10.244.1.10 . 8080" not in Path("out/nftables.nft").read_text()


def test_an_unknown_node_writes_nothing(groundplane: Command, site: Path) -> None:
    done = groundplane("render", "--node", "n11", "-o", "out", "site")
    assert Done(1, "", 'error: the site has no Node "n11"; did you mean "n1"?\n') == done
    assert not Path("out").exists()


def test_a_lock_that_would_change_writes_nothing(groundplane: Command, site: Path) -> None:
    (site / "addresses.lock").unlink()
    done = groundplane("render", "--node", "n1", "-o", "out", "site")
    assert 1 == done.status
    assert done.err.startswith("error: addresses.lock is not up to date")
    assert not Path("out").exists()


def test_the_output_is_a_directory(groundplane: Command, site: Path) -> None:
    Path("out").touch()
    done = groundplane("render", "--node", "n1", "-o", "out", "site")
    assert 1 == done.status
    assert "Directory 'out' is a file" in done.err

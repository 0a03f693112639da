"""What decides the name of the base tree, and what the build may leave behind."""

from pathlib import Path

from deploys.lab.base import base_key, compose_debootstrap


def test_the_key_does_not_depend_on_the_order_of_packages() -> None:
    assert base_key(["a", "b"], 1, "bookworm", "amd64") == base_key(
        ["b", "a"], 1, "bookworm", "amd64"
    )


def test_the_key_depends_on_everything_else() -> None:
    keys = {
        base_key(["a", "b"], 1, "bookworm", "amd64"),
        base_key(["a"], 1, "bookworm", "amd64"),
        base_key(["a", "b"], 2, "bookworm", "amd64"),
        base_key(["a", "b"], 1, "trixie", "amd64"),
        base_key(["a", "b"], 1, "bookworm", "arm64"),
    }

    assert len(keys) == 5


def test_debootstrap_keeps_its_mounts_and_processes_to_itself() -> None:
    argv = compose_debootstrap(
        Path("/cache/building-x/root"), "http://mirror.test/debian", ["a", "b"]
    )

    namespaces = argv[: argv.index("debootstrap")]
    assert {"--mount", "--pid", "--kill-child"} <= set(namespaces)
    assert argv[-3:] == ["bookworm", "/cache/building-x/root", "http://mirror.test/debian"]
    assert "--include=a,b" in argv

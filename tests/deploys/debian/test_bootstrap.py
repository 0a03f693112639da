"""What making a Debian may leave behind on the machine that makes it: nothing."""

from pathlib import Path

from groundplane_deploys.debian.bootstrap import compose_debootstrap, compose_script

ALONE = {"--mount", "--pid", "--kill-child"}


def test_debootstrap_keeps_its_mounts_and_processes_to_itself() -> None:
    root = Path("/cache/building-x/root")
    argv = compose_debootstrap(root, "http://mirror.test/debian", "bookworm", ["a", "b"])

    assert set(argv[: argv.index("debootstrap")]) >= ALONE
    assert argv[-3:] == ["bookworm", str(root), "http://mirror.test/debian"]
    assert "--include=a,b" in argv


def test_a_script_does_too_and_is_an_argument_of_its_own() -> None:
    argv = compose_script(Path("/tree"), "echo 'it is' \"so\"")

    assert set(argv[: argv.index("sh")]) >= ALONE
    assert argv[-2:] == ["/tree", "echo 'it is' \"so\""]

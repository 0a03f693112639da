"""What decides the name of the base tree."""

from groundplane_deploys.lab.base import base_key


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

"""What is in an image decides its name, and the other way round."""

import pytest

from groundplane_deploys.images.recipe import LABEL, Recipe, UnknownArchitecture


def test_the_key_stands_for_all_that_decides() -> None:
    keys = {
        Recipe("bookworm", "amd64").key,
        Recipe("trixie", "amd64").key,
        Recipe("bookworm", "amd64", ("nginx",)).key,
        Recipe("bookworm", "amd64", ("nginx", "curl")).key,
    }
    assert len(keys) == 4


def test_neither_order_nor_repetition_of_packages_decides() -> None:
    assert (
        Recipe("bookworm", "amd64", ("b", "a", "sudo")).key
        == Recipe("bookworm", "amd64", ("a", "b", "b")).key
    )


def test_packages_are_installed_besides_those_of_every_image() -> None:
    recipe = Recipe("bookworm", "amd64", ("nginx",))
    assert {"cloud-init", "openssh-server", "linux-image-cloud-amd64", "nginx"} <= set(
        recipe.all_packages
    )
    assert " nginx\n" in recipe.script


def test_an_architecture_that_no_bios_boots_is_refused() -> None:
    with pytest.raises(
        UnknownArchitecture, match="this machine is arm64: declare one with a source"
    ):
        Recipe("bookworm", "arm64")


def test_the_boot_loader_and_fstab_find_the_root_by_its_label() -> None:
    files = Recipe("bookworm", "amd64").files
    assert f"root=LABEL={LABEL} " in files["boot/grub/grub.cfg"]
    assert files["etc/fstab"].startswith(f"LABEL={LABEL} / ext4 ")

"""Signatures are made with gpg, and proved with gpgv: a wrong key, and a changed file, are told."""

import subprocess
from pathlib import Path

import pytest

from groundplane.documents.machine import Signature
from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.images.signature import dearmored, require_signed


def gpg(home: Path, *arguments: str) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(
        ["gpg", "--homedir", str(home), "--batch", "--quiet", "--yes", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an image, its signatures, and two keyrings."""
    directory = tmp_path_factory.mktemp("signed")
    (directory / "disk").write_bytes(b"a disk")
    for who in ("ours", "other"):
        home = directory / who
        gpg(home, "--passphrase", "", "--quick-generate-key", f"{who}@example.org", "ed25519")
        gpg(home, "--output", str(directory / f"{who}.gpg"), "--export")
        gpg(home, "--armor", "--output", str(directory / f"{who}.asc"), "--export")
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    home = directory / "ours"
    gpg(home, "--output", str(directory / "disk.sig"), "--detach-sign", str(directory / "disk"))
    gpg(home, "--armor", "--output", str(directory / "disk.asc"), "--detach-sign",
        str(directory / "disk"))  # fmt: skip
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return directory


@pytest.mark.parametrize("keyring", ["ours.gpg", "ours.asc"])
@pytest.mark.parametrize("source", ["disk.sig", "disk.asc"])
def test_a_signature_by_a_key_of_the_keyring(made: Path, source: str, keyring: str) -> None:
    require_signed(made / "disk", "debian", Signature(source, keyring), made)


def test_a_signature_by_another_key(made: Path) -> None:
    with pytest.raises(ImageError, match=r"not a signature of it by a key in other\.gpg"):
        require_signed(made / "disk", "debian", Signature("disk.sig", "other.gpg"), made)


def test_a_signature_of_another_file(made: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"another disk")
    with pytest.raises(ImageError, match=r"image debian: disk\.sig is not a signature of it"):
        require_signed(tmp_path / "disk", "debian", Signature("disk.sig", "ours.gpg"), made)


def test_armor_that_is_broken() -> None:
    with pytest.raises(ImageError, match="armor is broken"):
        dearmored(b"-----BEGIN PGP SIGNATURE-----\n\n?\n-----END PGP SIGNATURE-----\n")

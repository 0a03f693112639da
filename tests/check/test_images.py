"""Images: fetched and proved, or built."""

from pathlib import Path

import pytest

from tests.check.test_machines import told

SHA256 = f"sha256:{'0' * 64}"


def image(spec: str) -> str:
    return (
        f"apiVersion: groundplane/v1\nkind: Image\nmetadata: {{name: debian}}\nspec: {{{spec}}}\n"
    )


@pytest.mark.parametrize(
    "spec",
    [
        "build: {}",
        "build: {suite: trixie, packages: [htop, libstdc++6]}",
        f"source: images/debian.qcow2, checksum: '{SHA256}'",
        (
            f"source: https://images.example/debian.qcow2, checksum: 'sha512:{'f' * 128}', "
            "signature: {source: https://images.example/debian.qcow2.sig, keyring: keys/debian.gpg}"
        ),
    ],
)
def test_what_an_image_may_be(source: Path, spec: str) -> None:
    assert [] == told(source, image(spec))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", ": one of source and build is needed, and not both"),
        (
            f"build: {{}}, source: a, checksum: '{SHA256}'",
            ": one of source and build is needed, and not both",
        ),
        ("source: a", ".checksum: an image that is fetched needs its checksum"),
        (
            f"build: {{}}, checksum: '{SHA256}'",
            ".checksum: it is of an image that is fetched, and this one is built",
        ),
        (
            "source: a, checksum: md5:00",
            ".checksum: expected sha256: and 64, or sha512: and 128 lower-case hex digits",
        ),
        (
            f"source: 'http://a.example/b', checksum: '{SHA256}'",
            '.source: "http://a.example/b" is neither an https URL nor a path',
        ),
        (
            f"source: 'a b', checksum: '{SHA256}'",
            '.source: "a b" is not a path: it is empty, or it has spaces or control characters',
        ),
        (
            f"source: a, checksum: '{SHA256}', signature: {{source: s, keyring: 'https://k.example'}}",
            '.signature.keyring: "https://k.example" is not a path',
        ),
        (
            "build: {packages: ['a;b']}",
            '.build.packages[0]: "a;b" is not the name of a Debian package',
        ),
        (
            "build: {packages: [openssh-server-]}",
            '.build.packages[0]: "openssh-server-" is not the name of a Debian package',
        ),
        (
            f"source: \"a\\x9bb\", checksum: '{SHA256}'",
            '.source: "a\\x9bb" is not a path: it is empty, or it has spaces or control characters',
        ),
        ("build: {suite: sid}", '.build.suite: expected "bookworm" or "trixie", got "sid"'),
    ],
)
def test_what_an_image_may_not_be(source: Path, spec: str, expected: str) -> None:
    assert [f"Image/debian: spec{expected}"] == told(source, image(spec))

"""The mirror is found in either of apt's formats, and never guessed."""

from pathlib import Path

import pytest

from groundplane_deploys.debian.apt import (
    AptSource,
    NoMirror,
    choose_mirror,
    format_sources,
    parse_deb822,
    parse_one_line,
    read_machine_sources,
)

DEB822 = """\
# the archive
Types: deb deb-src
URIs: http://mirror.test/debian/
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF:xyz

Types: deb-src
URIs: http://sources.test/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://security.test/debian-security
Suites: bookworm-security
Components: main
"""


def test_one_line_format() -> None:
    text = """\
# deb http://comment.test/debian bookworm main
deb http://mirror.test/debian/ bookworm main contrib  # the archive
deb [arch=amd64 signed-by=/usr/share/k.gpg] https://options.test/debian bookworm-updates main
deb [ arch=amd64 ] https://spaced.test/debian trixie main
deb-src http://sources.test/debian bookworm main
"""

    assert list(parse_one_line(text)) == [
        AptSource("http://mirror.test/debian", ("bookworm",), ("main", "contrib")),
        AptSource("https://options.test/debian", ("bookworm-updates",), ("main",)),
        AptSource("https://spaced.test/debian", ("trixie",), ("main",)),
    ]


def test_deb822_format() -> None:
    assert list(parse_deb822(DEB822)) == [
        AptSource(
            "http://mirror.test/debian", ("bookworm", "bookworm-updates"), ("main", "contrib")
        ),
        AptSource("http://security.test/debian-security", ("bookworm-security",), ("main",)),
    ]


def test_both_formats_and_mirror_lists_of_a_machine_are_read(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# nearest first\nhttps://near.test/debian/ priority:1\nhttps://far.test/\n")
    (tmp_path / "sources.list").write_text("deb http://old.test/debian bookworm main\n")
    (parts / "other.list").write_text("deb http://other.test/apt stable main\n")
    (parts / "cloud.sources").write_text(
        f"Types: deb\nURIs: mirror+file://{mirrors}\nSuites: bookworm\nComponents: main\n"
    )

    assert [source.uri for source in read_machine_sources(tmp_path)] == [
        "http://old.test/debian",
        "http://other.test/apt",
        "https://near.test/debian",
    ]


def test_the_archive_with_the_suite_is_preferred() -> None:
    newer = AptSource("http://newer.test/debian", ("trixie",), ("main",))
    exact = AptSource("http://exact.test/debian", ("bookworm",), ("main",))

    assert choose_mirror([newer, exact], "bookworm") == "http://exact.test/debian"
    assert choose_mirror([newer], "bookworm") == "http://newer.test/debian"


@pytest.mark.parametrize(
    "source",
    [
        AptSource("http://ubuntu.test/ubuntu", ("noble",), ("main",)),
        AptSource("cdrom:[Debian]/", ("bookworm",), ("main",)),
        AptSource("http://extra.test/debian", ("bookworm",), ("contrib",)),
    ],
)
def test_an_archive_that_cannot_serve_is_not_taken(source: AptSource) -> None:
    with pytest.raises(NoMirror, match="no Debian archive with bookworm main"):
        choose_mirror([source], "bookworm")


def test_the_tree_gets_updates_and_security_of_the_same_release() -> None:
    text = format_sources(parse_deb822(DEB822), "http://mirror.test/debian", "bookworm")

    assert text == (
        "deb http://mirror.test/debian bookworm main\n"
        "deb http://mirror.test/debian bookworm-updates main\n"
        "deb http://security.test/debian-security bookworm-security main\n"
    )

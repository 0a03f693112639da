"""A directory as a source: it is for the compiler to say what is wrong with it."""

import os
from pathlib import Path

from groundplane.load import fingerprint_of
from groundplane.sources import Content, source_of
from tests.sources.conftest import SITE, look


def test_a_directory_is_what_it_has_now(source: Path, cache: Path) -> None:
    for name, text in SITE.items():
        (source / name).write_text(text)
    found = source_of("site", cache)
    assert ("site", source) == (found.name, found.watched)
    before = look(found)
    assert Content(fingerprint_of(source), "", source, None, "site") == before
    assert before == look(found)
    os.utime(source / "addresses.lock", (1, 1))
    assert before.fingerprint != look(found).fingerprint
    assert not cache.exists()


def test_one_that_cannot_be_read_is_left_to_the_compiler(tmp_path: Path, cache: Path) -> None:
    missing = tmp_path / "none"
    assert Content((), "", missing, None, str(missing)) == look(source_of(str(missing), cache))

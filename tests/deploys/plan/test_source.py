"""A source that no agent could use is refused before a node is touched."""

import re
from pathlib import Path

import pytest

from groundplane_deploys.plan.source import BadSource, Source, source_of

GIT = "git+ssh://git@git.example/site.git?ref=main"


def test_a_central_source_has_its_files(tmp_path: Path) -> None:
    names = {name: str(tmp_path / name) for name in ("ssh_key", "known_hosts")}
    for path in names.values():
        Path(path).touch()
    files = {name: Path(path) for name, path in names.items()}
    assert Source(GIT, files) == source_of(GIT, names)


def test_without_a_url_the_catalog_itself_is_the_source() -> None:
    assert Source("", {}) == source_of("", {})


@pytest.mark.parametrize(
    ("url", "trust", "said"),
    [
        (GIT, {}, "git+ssh needs ssh_key and known_hosts"),
        (GIT, {"sshkey": "/etc/hostname"}, '"sshkey" is none of ssh_key, known_hosts'),
        (GIT, {"ssh_key": "/no/where"}, "ssh_key: there is no file /no/where"),
        ("http://git.example/site", {}, "use https"),
        ("/srv/site", {}, "is a directory"),
        ("", {"token": "/etc/hostname"}, "need no files"),
    ],
)
def test_what_is_wrong_is_named(url: str, trust: dict[str, str], said: str) -> None:
    with pytest.raises(BadSource, match=re.escape(said)):
        source_of(url, trust)

"""Which texts name a source, and what is told of those that do not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import SourceError
from groundplane.sources.url import FORMS, GitUrl, SnapshotUrl, parse

HOST = "git.example.org"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/site", Path("/srv/site")),
        ("site", Path("site")),
        ("./a:b", Path("a:b")),
        ("/srv/https://x", Path("/srv/https:/x")),
        (f"git+ssh://{HOST}/a.git", GitUrl("ssh", "", HOST, 0, "/a.git", "", "")),
        (
            f"git+ssh://git@{HOST}:2222/~ops/a.git?ref=v1.0&path=sites/lab/",
            GitUrl("ssh", "git", HOST, 2222, "/~ops/a.git", "v1.0", "sites/lab"),
        ),
        ("git+ssh://git@[FD00::1]:22/a", GitUrl("ssh", "git", "fd00::1", 22, "/a", "", "")),
        (f"git+https://{HOST}/a/b", GitUrl("https", "", HOST, 0, "/a/b", "", "")),
        (
            f"git+https://{HOST}/a?path=x&ref=feature%2Fy%231",
            GitUrl("https", "", HOST, 0, "/a", "feature/y#1", "x"),
        ),
        (f"https://{HOST}:8443/site.snapshot", SnapshotUrl(HOST, 8443, "/site.snapshot")),
        ("https://192.0.2.1/x", SnapshotUrl("192.0.2.1", 0, "/x")),
    ],
)
def test_a_source_is_one_of_these(text: str, expected: Path | GitUrl | SnapshotUrl) -> None:
    assert expected == parse(text)


def test_a_repository_below_a_home_has_no_slash_before_it_at_the_server() -> None:
    below_home, other = (f"git+ssh://{HOST}/{path}a.git" for path in ("~ops/", "srv/~"))
    assert ["~ops/a.git", "/srv/~a.git"] == [_place(below_home), _place(other)]


def _place(text: str) -> str:
    url = parse(text)
    assert isinstance(url, GitUrl)
    return url.place


def told(text: str) -> str:
    with pytest.raises(SourceError) as error:
        parse(text)
    return str(error.value)


GIT = f"git+ssh://git@{HOST}/a.git"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FORMS),
        (f"http://{HOST}/a", "over http anyone on the way can change it: use https"),
        (f"git+http://{HOST}/a", "over http anyone on the way can change it: use git+https"),
        (
            f"git://{HOST}/a",
            "git:// is neither encrypted nor authenticated: use git+ssh or git+https",
        ),
        ("file:///srv/a", "write the path of the directory alone"),
        ("git+file:///srv/a", "a repository has to be on a server: use git+ssh or git+https"),
        (f"ssh://{HOST}/a", "write git+ssh://"),
        ("ftp://x/a", FORMS),
        ("ext::sh -c id", f"ext:: is a helper program of git, and none is run; {FORMS}"),
        ("fd::17", f"fd:: is a helper program of git, and none is run; {FORMS}"),
        (
            f"git@{HOST}:a.git",
            f"{FORMS}; a directory with a colon in its name begins with / or ./",
        ),
        (f"https://{HOST}/a.git", "for a repository write git+https://"),
        (f"https://{HOST}/a?b", "it has a user or a query; a snapshot's URL has neither"),
        (f"https://{HOST}", '"/" is not a path of a repository or snapshot'),
        (f"git+ssh://{HOST}/../a", '"/../a" is not a path of a repository or snapshot'),
        (f"git+ssh://{HOST}/--upload-pack=id", '"/--upload-pack=id" is not a path of a repository'),
        (f"git+ssh://{HOST}/a%0ab", '"/a%0ab" is not a path of a repository or snapshot'),
        (f"git+ssh://{HOST}/a'b", '"/a\'b" is not a path of a repository or snapshot'),
        ("git+ssh://-oProxyCommand=id/a", '"-oproxycommand=id" is not a host name'),
        ("git+ssh://-x@host/a", '"-x" is not a user name'),
        ("git+ssh://@host/a", '"" is not a user name'),
        (f"git+ssh://{HOST}:0/a", '"0" is not a port'),
        (f"git+ssh://{HOST}:x/a", '"x" is not a port'),
        ("git+ssh://[::g]/a", '"[::g]" is not an IPv6 address'),
        (f"git+https://me@{HOST}/a", "a user belongs in the file of the token, not in the URL"),
        (f"{GIT}?ref=--upload-pack", '"--upload-pack" is not the name of a branch or tag'),
        (f"{GIT}?ref=a..b", '"a..b" is not the name of a branch or tag'),
        (f"{GIT}?ref=a%0Ab", '"a\\nb" is not the name of a branch or tag'),
        (f"{GIT}?ref=a:b", '"a:b" is not the name of a branch or tag'),
        (f"{GIT}?ref=", "ref is empty"),
        (f"{GIT}?path=../x", '"../x" is not a path in a repository'),
        (f"{GIT}?path=/", '"/" is not a path in a repository'),
        (f"{GIT}?path=a%00", '"a\\x00" is not a path in a repository'),
        (f"{GIT}?branch=x", '"branch" is not an option of a repository; use ref or path'),
        (f"{GIT}?ref=a&ref=b", "ref stands there twice"),
    ],
)
def test_what_is_no_source_is_told_why(text: str, expected: str) -> None:
    found = told(text)
    assert expected in found
    assert [found] == found.splitlines()


@pytest.mark.parametrize(
    "text",
    [
        "git+ssh://git:secret@host/a",
        "git+https://secret@host/a",
        "https://a:sec/secret@host/a",
        "https://host/a?token=secret",
        "git+ssh://host/a?token=secret",
        "http://a:secret@host/a",
    ],
)
def test_no_message_has_what_may_be_a_secret(text: str) -> None:
    assert "secret" not in told(text)


LETTERS = "abz019"
names = st.text(LETTERS, min_size=1, max_size=4) | st.sampled_from(["a-b", "x--9", "0-0"])
hosts = st.lists(names, min_size=1, max_size=3).map(".".join) | st.ip_addresses(v=6).map(str)
segments = st.text(f"{LETTERS}AZ._~+@=,-", min_size=1, max_size=6).filter(
    lambda segment: segment[0] != "-" and segment not in (".", "..")
)
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
refs = st.lists(names, min_size=1, max_size=3).map("/".join)
ports = st.just(0) | st.integers(1, 65535)


def git_urls_of(protocol: str, users: st.SearchStrategy[str]) -> st.SearchStrategy[GitUrl]:
    maybe = st.just("")
    place = (hosts, ports, paths.map("/{}".format))
    return st.builds(GitUrl, st.just(protocol), users, *place, maybe | refs, maybe | paths)


git_urls = git_urls_of("ssh", st.just("") | st.text("az0_", min_size=1)) | git_urls_of(
    "https", st.just("")
)
snapshot_urls = st.builds(SnapshotUrl, hosts, ports, paths.map("/{}.snapshot".format))


@given(git_urls | snapshot_urls)
def test_what_is_written_is_read(url: GitUrl | SnapshotUrl) -> None:
    assert url == parse(str(url))


PIECES = "git+ssh https ext file :// :: / @ : ? & = ref path .. - [ ] % \n \0 \x1b é a1"
pieces = st.lists(st.sampled_from(PIECES.split(" ")), max_size=12).map("".join)


@given(st.text(max_size=40) | pieces)
def test_any_text_is_a_source_or_one_line(text: str) -> None:
    try:
        found = parse(text)
    except SourceError as error:
        told = str(error)
        assert [told] == told.splitlines()
        return
    if not isinstance(found, Path):
        assert found == parse(str(found))
        words = [found.host, *str(found).partition("?")[0].split("/")]
        if isinstance(found, GitUrl):
            words += [found.user, found.ref, *found.directory.split("/")]
        assert not any(word.startswith("-") or word == ".." for word in words)

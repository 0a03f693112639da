"""git+https, with a real server: whom it trusts, and what is told when it does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from groundplane.sources import Trust, source_of
from tests.sources.conftest import SITE, OverHttps, fault, files, look
from tests.sources.pki import Signed, authority, signed
from tests.sources.repositories import Repository
from tests.sources.web import Handler, Web, git_backend, web

pytestmark = pytest.mark.slow


def test_a_repository_comes_over_https(repository: Repository, over_https: OverHttps) -> None:
    repository.commit(SITE)
    assert SITE == files(look(over_https()))


def test_a_server_that_our_authority_has_not_signed(
    repository: Repository, server: Web, cache: Path, tmp_path: Path
) -> None:
    repository.commit(SITE)
    url = f"git+https://{server.place}/site.git"
    for trust in (Trust(), Trust(ca=authority(tmp_path, "other").certificate)):
        assert "server certificate verification failed" in fault(source_of(url, cache, trust))


def test_a_server_that_wants_a_certificate(
    repository: Repository, host: Signed, ca: Signed, cache: Path, trust: Trust
) -> None:
    repository.commit(SITE)
    client = signed(ca, "git client")
    with web(host, clients=ca.certificate) as server:
        server.answer = git_backend(repository.path.parent)
        url = f"git+https://{server.place}/site.git"
        assert fault(source_of(url, cache, trust))
        ours = replace(trust, certificate=client.certificate, certificate_key=client.key)
        assert SITE == files(look(source_of(url, cache, ours)))


def test_a_server_that_wants_a_token(
    repository: Repository, server: Web, cache: Path, trust: Trust, tmp_path: Path
) -> None:
    repository.commit(SITE)
    serve = server.answer

    def guarded(handler: Handler) -> None:
        if handler.headers["Authorization"] == "Basic bWU6c2VjcmV0":
            serve(handler)
        else:
            handler.reply(401, WWW_Authenticate='Basic realm="x"')

    server.answer = guarded
    url = f"git+https://{server.place}/site.git"
    expected = "the server wants a token, another than it was given"
    assert expected == fault(source_of(url, cache, trust))
    token = tmp_path / "token"
    token.write_text("me:wrong")
    source = source_of(url, cache, replace(trust, token=token))
    assert expected == fault(source)
    token.write_text("me:secret\n")
    assert SITE == files(look(source))


def test_a_redirect_is_not_followed(server: Web, over_https: OverHttps) -> None:
    server.answer = lambda handler: handler.reply(301, Location=f"https://{server.place}/x")
    assert "the server redirects; the URL has to be the final one" == fault(over_https())
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, "repository '{url}/' not found"), (503, "unable to access '{url}/': ")],
)
def test_a_server_that_has_none(
    server: Web, over_https: OverHttps, status: int, expected: str
) -> None:
    server.answer = lambda handler: handler.reply(status)
    url = f"https://{server.place}/site.git"
    assert fault(over_https()).startswith(expected.format(url=url))


def test_a_server_that_is_away_and_comes_back(
    repository: Repository, server: Web, over_https: OverHttps
) -> None:
    repository.commit(SITE)
    source, serve = over_https(), server.answer
    found = look(source)
    server.answer = lambda handler: handler.reply(500)
    fault(source)
    server.answer = serve
    assert found is look(source)


def test_what_a_server_says_is_one_line_that_no_terminal_obeys(
    server: Web, over_https: OverHttps
) -> None:
    def hostile(handler: Handler) -> None:
        said = b"ERR \x1b[2J\x07" + b"x" * 1000
        body = b"001e# service=git-upload-pack\n0000%04x%s" % (len(said) + 4, said)
        kind = "application/x-git-upload-pack-advertisement"
        handler.reply(200, body, Content_Type=kind)

    server.answer = hostile
    found = fault(over_https())
    assert found.startswith("remote error: ?[2J?xxx")
    assert len(found) <= 400

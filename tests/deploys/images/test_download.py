"""Files are taken from paths and from a real https server, and are what they should be, or gone."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane_deploys.images.download import read_small, take
from groundplane_deploys.images.errors import ImageError
from tests.sources.pki import authority, signed
from tests.sources.web import Handler, Web, web

CONTENT = bytes(range(256)) * 9000
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    ca = authority(tmp_path, "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.certificate))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with web(signed(ca, "server")) as running:
        yield running


def with_ranges(handler: Handler) -> None:
    wanted = handler.headers.get("Range")
    if wanted is None:
        handler.reply(200, CONTENT)
        return
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        handler.reply(416)
    else:
        handler.reply(206, CONTENT[start:])


def broken(handler: Handler) -> None:
    """Promise all, send half."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[: len(CONTENT) // 2])
    handler.close_connection = True


def test_a_path_is_relative_to_the_catalog(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(CONTENT)
    take("disk.img", tmp_path, f"sha512:{hashlib.sha512(CONTENT).hexdigest()}", tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == CONTENT


def test_a_url(server: Web, tmp_path: Path) -> None:
    server.answer = lambda handler: handler.reply(200, CONTENT)
    take(f"https://{server.place}/disk", tmp_path, CHECKSUM, tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == CONTENT
    assert not (tmp_path / "taken.part").exists()


def test_a_wrong_checksum_is_told_with_both_and_the_file_is_gone(
    server: Web, tmp_path: Path
) -> None:
    server.answer = lambda handler: handler.reply(200, b"another")
    with pytest.raises(ImageError) as caught:
        take(f"https://{server.place}/disk", tmp_path, CHECKSUM, tmp_path / "taken")
    assert CHECKSUM in str(caught.value)
    assert hashlib.sha256(b"another").hexdigest() in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("taken")]


@pytest.mark.parametrize("can_resume", [True, False])
def test_a_broken_connection_is_gone_on_with(server: Web, tmp_path: Path, can_resume: bool) -> None:
    url = f"https://{server.place}/disk"
    server.answer = broken
    with pytest.raises(ImageError, match="the connection broke; a re-run goes on there"):
        take(url, tmp_path, CHECKSUM, tmp_path / "taken")
    assert 0 < (tmp_path / "taken.part").stat().st_size < len(CONTENT)
    server.answer = with_ranges if can_resume else lambda handler: handler.reply(200, CONTENT)
    take(url, tmp_path, CHECKSUM, tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == CONTENT


def test_what_was_whole_when_it_was_killed_is_taken(server: Web, tmp_path: Path) -> None:
    (tmp_path / "taken.part").write_bytes(CONTENT)
    server.answer = with_ranges
    take(f"https://{server.place}/disk", tmp_path, CHECKSUM, tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == CONTENT


def test_the_server_is_quoted(server: Web, tmp_path: Path) -> None:
    server.answer = lambda handler: handler.reply(404)
    with pytest.raises(ImageError, match="the server says 404 Not Found"):
        take(f"https://{server.place}/disk", tmp_path, CHECKSUM, tmp_path / "taken")


def test_only_https_is_followed(server: Web, tmp_path: Path) -> None:
    server.answer = lambda handler: handler.reply(302, Location="http://127.0.0.1/disk")
    with pytest.raises(ImageError, match="which is not https"):
        take(f"https://{server.place}/disk", tmp_path, CHECKSUM, tmp_path / "taken")


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.img: No such file"):
        take("nowhere.img", tmp_path, CHECKSUM, tmp_path / "taken")


def test_a_signature_is_small(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(CONTENT)
    with pytest.raises(ImageError, match="more than a mebibyte"):
        read_small("big", tmp_path)

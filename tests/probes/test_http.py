"""httpGet: what is asked, and how answers are judged, however they are cut into pieces."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane import __version__
from groundplane.probes.http import BODY_BYTES, HEAD_BYTES, REDIRECTS, HttpAnswer, HttpRequest
from groundplane.probes.outcome import ProbeOutcome

ASKED = HttpRequest(tls=False, address="10.0.0.1", port=8080, path="/a/b?c", host="web.example")
CUT = "the answer is cut off"


def judged(*pieces: bytes, request: HttpRequest = ASKED) -> ProbeOutcome | HttpRequest | None:
    """Return what *pieces* come to, b"" being the end of the connection."""
    answer = HttpAnswer(request)
    for piece in pieces:
        if (found := answer.received(piece)) is not None:
            return found
    return None


def test_what_is_asked() -> None:
    lines = ASKED.encoded().decode().split("\r\n")
    assert [
        "GET /a/b?c HTTP/1.1",
        "Host: web.example",
        f"User-Agent: groundplane-probe/{__version__}",
        "Accept: */*",
        "Connection: close",
        "",
        "",
    ] == lines


def test_headers_of_the_probe_are_before_ours() -> None:
    headers = (("user-agent", "me"), ("X-A", "1"), ("X-A", "2"))
    lines = HttpRequest(False, "10.0.0.1", 80, "/", "h", headers).encoded().decode().split("\r\n")
    assert ["Accept: */*", "user-agent: me", "X-A: 1", "X-A: 2"] == lines[2:6]


def head(status: int, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} Some", *headers, "", "")).encode()


@pytest.mark.parametrize("status", [200, 204, 226, 300, 304, 305, 399, 400, 404, 500, 503])
def test_200_to_399_passes(status: int) -> None:
    assert ProbeOutcome(status < 400, f"HTTP {status}") == judged(head(status, "Content-Length: 0"))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        # as long as it says, or until it ends
        ((head(200, "Content-Length: 3") + b"ab",), None),
        ((head(200, "Content-Length: 3") + b"ab", b"c"), "HTTP 200"),
        ((head(200, "content-length:3") + b"ab", b""), CUT),
        ((head(200) + b"ab",), None),
        ((head(200) + b"ab", b""), "HTTP 200"),
        ((head(200), b""), "HTTP 200"),
        # 10 KiB are enough
        ((head(200) + b"x" * BODY_BYTES,), "HTTP 200"),
        ((head(200, "Content-Length: 99999999") + b"x" * BODY_BYTES,), "HTTP 200"),
        # chunks
        ((head(200, "Transfer-Encoding: chunked") + b"2\r\nab\r\n",), None),
        ((head(200, "Transfer-Encoding: chunked") + b"2\r\nab\r\n", b""), CUT),
        ((head(200, "Transfer-Encoding: chunked") + b"2;x=y\r\nab\r\n0\r\n\r\n",), "HTTP 200"),
        ((head(200, "Transfer-Encoding: chunked") + b"FFFFF\r\n" + b"x" * BODY_BYTES,), "HTTP 200"),
        # no body at all
        ((head(204),), "HTTP 204"),
        # informational ones before it
        ((head(100) + head(103, "Link: a") + head(200, "Content-Length: 0"),), "HTTP 200"),
        ((b"HTTP/1.0 200\r\n\r\n", b""), "HTTP 200"),
        ((b"HTTP/1.1 200 OK\n\n", b""), "HTTP 200"),
        # what is none
        ((b"",), "the connection ends without an answer"),
        ((b"HTTP/1.1 200 OK\r\nA: b", b""), CUT),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), "no HTTP: b'SSH-2.0-OpenSSH_9.2\\r'"),
        ((b"HTTP/1.1 OK\r\n\r\n",), "no HTTP: b'HTTP/1.1 OK'"),
        (
            (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (HEAD_BYTES // 6),),
            "headers of more than 64 KiB",
        ),
    ],
)
def test_an_answer_is_waited_for(pieces: tuple[bytes, ...], expected: str | None) -> None:
    passes = expected is not None and expected.startswith("HTTP ")
    assert (expected and ProbeOutcome(passes, expected)) == judged(*pieces)


@given(
    st.sampled_from(
        [
            head(200, "Content-Length: 5") + b"hello",
            head(200, "Transfer-Encoding: chunked")
            + b"3\r\nabc\r\n10\r\n"
            + b"0" * 16
            + b"\r\n0\r\n",
            head(100) + head(503) + b"no",
            b"not HTTP at all, but long enough",
        ]
    ),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_pieces_are_as_good_as_the_whole(answer: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(answer)) for cut in cuts} | {0, len(answer)})
    pieces = [answer[a:b] for a, b in pairwise(places)]
    whole, parts = judged(answer, b""), judged(*pieces, b"")
    assert isinstance(whole, ProbeOutcome)
    assert isinstance(parts, ProbeOutcome)
    assert whole.passed == parts.passed
    if not whole.reason.startswith("no HTTP"):
        assert whole.reason == parts.reason


@given(st.binary(max_size=300))
def test_whatever_comes_it_is_judged(data: bytes) -> None:
    assert isinstance(judged(data or b"x", b""), ProbeOutcome | HttpRequest)


@pytest.mark.parametrize(
    ("location", "tls", "port", "path", "host"),
    [
        ("/login", False, 8080, "/login", "web.example"),
        ("other?x=1#y", False, 8080, "/a/other?x=1", "web.example"),
        ("http://10.0.0.1:9090/x", False, 9090, "/x", "10.0.0.1:9090"),
        ("http://10.0.0.1", False, 80, "/", "10.0.0.1"),
        ("https://10.0.0.1/", True, 443, "/", "10.0.0.1"),
        ("//10.0.0.1:81/x", False, 81, "/x", "10.0.0.1:81"),
        ("/\u00e4 b", False, 8080, "/%C3%A4%20b", "web.example"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_followed(
    status: int, location: str, tls: bool, port: int, path: str, host: str
) -> None:
    """net/http: a Host header of the probe's own goes along with a relative redirect alone."""
    found = judged(head(status, f"Location: {location}"))
    assert HttpRequest(tls, "10.0.0.1", port, path, host, (), 1) == found


@pytest.mark.parametrize(
    "location",
    ["http://web.example/", "https://10.0.0.2/", "ftp://10.0.0.1/", "http://10.0.0.1:x/"],
)
def test_one_to_another_host_passes_with_a_word(location: str) -> None:
    """pkg/probe/http: RedirectChecker with followNonLocalRedirects false."""
    expected = ProbeOutcome(True, "HTTP 302 to another host, which is not asked")
    assert expected == judged(head(302, f"Location: {location}"))


def test_redirects_have_an_end() -> None:
    request, steps = ASKED, 0
    while isinstance(found := judged(head(302, "Location: /"), request=request), HttpRequest):
        request, steps = found, steps + 1
    assert (ProbeOutcome(False, "stopped after 10 redirects"), REDIRECTS - 1) == (found, steps)


@pytest.mark.parametrize("headers", [(), ("Location:",)])
def test_a_redirect_to_nowhere_is_an_answer(headers: tuple[str, ...]) -> None:
    assert ProbeOutcome(True, "HTTP 302") == judged(head(302, *headers, "Content-Length: 0"))


def test_no_redirect_can_say_more_than_a_path() -> None:
    found = judged(head(302, "Location: /a\tb HTTP/1.1"))
    assert isinstance(found, HttpRequest)
    assert re.fullmatch(r"[!-~]+", found.path)

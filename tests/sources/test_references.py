"""What a server's git-upload-pack says of references, of each version of the protocol."""

import asyncio

import pytest

from groundplane.sources.references import NotUnderstood, references

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
NAMES = ["refs/heads/main", "refs/tags/main"]


class Server:
    """Says *told*, and after a question *more*."""

    def __init__(self, told: bytes, more: bytes = b"") -> None:
        self._told, self._more = told, more
        self.asked = b""

    async def send(self, data: bytes) -> None:
        self.asked += data
        self._told, self._more = self._told + self._more, b""

    async def receive(self, count: int) -> bytes:
        piece, self._told = self._told[:count], self._told[count:]
        if len(piece) < count:
            raise EOFError
        return piece


def lines(*texts: str) -> bytes:
    return b"".join(b"%04x" % (4 + len(text)) + text.encode() for text in texts) + b"0000"


def asked(server: Server, *names: str) -> dict[str, str]:
    return asyncio.run(references(server, names or NAMES))


def test_an_old_protocol_lists_all_there_are() -> None:
    server = Server(
        lines(
            f"{ONE} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/2\n",
            f"{ONE} refs/heads/main\n",
            f"{ONE} refs/heads/main2\n",
            f"{TWO} refs/tags/main\n",
            f"{THREE} refs/tags/main^{{}}\n",
        )
    )
    found = {"refs/heads/main": ONE, "refs/tags/main": TWO, "refs/tags/main^{}": THREE}
    assert found == asked(server)
    assert b"0000" == server.asked


def test_a_new_protocol_is_asked_for_what_is_wanted() -> None:
    capabilities = ("version 2\n", "agent=git/2\n", "ls-refs=unborn\n", "object-format=sha1\n")
    server = Server(
        lines(*capabilities),
        lines(
            f"{ONE} refs/heads/main symref-target:refs/heads/other\n",
            f"{ONE} refs/heads/main2\n",
            f"{TWO} refs/tags/main peeled:{THREE}\n",
        ),
    )
    found = {"refs/heads/main": ONE, "refs/tags/main": TWO, "refs/tags/main^{}": THREE}
    assert found == asked(server)
    assert server.asked == (
        b"0014command=ls-refs\n0017object-format=sha1\n0001"
        b"0009peel\n001fref-prefix refs/heads/main\n001eref-prefix refs/tags/main\n0000"
        b"0000"
    )


EMPTY = {
    "of an old protocol": Server(lines(f"{'0' * 40} capabilities^{{}}\0agent=git/2\n")),
    "of a new protocol": Server(lines("version 2\n"), b"0000"),
    "without a capability": Server(b"0000"),
}


@pytest.mark.parametrize("what", EMPTY)
def test_an_empty_repository_has_none(what: str) -> None:
    assert {} == asked(EMPTY[what])


STRANGE = {
    "an error": lines("ERR access denied\n"),
    "a message for people": b"Welcome to the server!\n",
    "another version": lines("version 1\n", f"{ONE} HEAD\n"),
    "a shallow repository": lines(f"{ONE} HEAD\0\n", f"shallow {ONE}\n"),
    "an empty line": b"0004",
    "a length that is none": b"00x8abcd",
    "too many": lines(*[f"{ONE} refs/heads/{'x' * 60_000}\n"] * 80),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_else_a_server_says_is_not_understood(what: str) -> None:
    with pytest.raises(NotUnderstood):
        asked(Server(STRANGE[what]))


def test_what_is_cut_off_is_told() -> None:
    with pytest.raises(EOFError):
        asked(Server(lines(f"{ONE} HEAD\0\n")[:-6]))

"""Asks git-upload-pack for references, as `git ls-remote` does: gitprotocol-pack(5), gitprotocol-v2(5)."""

import re
from collections.abc import AsyncIterator, Iterable
from typing import Final, Protocol

_MOST_BYTES: Final = 4 << 20  # of an answer: a server of an old protocol lists all it has
_LENGTH: Final = 4  # of the digits that say how long a line is
_FLUSH: Final = b"0000"
_DELIMITER: Final = b"0001"
_OBJECT: Final = rb"[0-9a-f]{40,64}"
_LISTED: Final = re.compile(rb"(" + _OBJECT + rb") ([^\0 \n]+)((?: [^ \n]+)*)(?:\0.*)?\n?")
_PEELED: Final = re.compile(rb" peeled:(" + _OBJECT + rb")(?: |$)")


class NotUnderstood(Exception):
    """The server's answer does not match the known protocol."""


class Talk(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self, count: int) -> bytes: ...


async def references(talk: Talk, names: Iterable[str]) -> dict[str, str]:
    """Return the objects of those of *names* that the server has; a tag's commit by NAME^{}.

    NotUnderstood when it answers otherwise, and what *talk* raises.
    """
    wanted = {each.encode() for each in names}
    first = [line async for line in _lines(talk)]
    if first[:1] == [b"version 2\n"]:
        await talk.send(_question(first, wanted))
        first = [line async for line in _lines(talk)]
    await talk.send(_FLUSH)
    found: dict[bytes, bytes] = {}
    for line in first:
        match = _LISTED.fullmatch(line)
        if match is None:
            raise NotUnderstood
        object_, name, more = match.groups()
        if name.removesuffix(b"^{}") in wanted:
            found[name] = object_
            if peeled := _PEELED.search(more):
                found[name + b"^{}"] = peeled[1]
    return {name.decode(): object_.decode() for name, object_ in found.items()}


def _question(capabilities: list[bytes], wanted: set[bytes]) -> bytes:
    formats = [each for each in capabilities if each.startswith(b"object-format=")]
    asked = [b"peel\n", *(b"ref-prefix " + each + b"\n" for each in sorted(wanted))]
    head = b"".join(map(_line, [b"command=ls-refs\n", *formats]))
    return head + _DELIMITER + b"".join(map(_line, asked)) + _FLUSH


def _line(content: bytes) -> bytes:
    return b"%04x" % (_LENGTH + len(content)) + content


async def _lines(talk: Talk) -> AsyncIterator[bytes]:
    """Yield what is received up to a flush."""
    size = 0
    while (digits := await talk.receive(_LENGTH)) != _FLUSH:
        try:
            length = int(digits, 16) - _LENGTH
        except ValueError:
            raise NotUnderstood from None
        size += length
        if length <= 0 or size > _MOST_BYTES:
            raise NotUnderstood
        yield await talk.receive(length)

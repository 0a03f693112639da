"""Blocks of a snapshot: some lines, each a key, a tab and a value as JSON."""

import hashlib
from typing import Final, NamedTuple

# Namespace and name of a service; ("", name) for a node's workloads, ("!" + namespace, name) for a
# workload's probe. Neither is a namespace, and both are before every one of them.
Key = tuple[str, str]
PROBE: Final = "!"


class Block(NamedTuple):
    """Some lines, the first of them that of *first*, and the entry in the header that tells of them."""

    entry: bytes
    first: Key
    length: int  # in lines
    lines: bytes


def name_of(key: Key) -> bytes:
    return f"{key[0]}/{key[1]}\t".encode()


def digest_of(lines: bytes) -> str:
    return hashlib.sha256(lines).hexdigest()[:32]

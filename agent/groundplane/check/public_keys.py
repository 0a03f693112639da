"""Public ssh keys in the format of known_hosts and authorized_keys (sshd(8))."""

import base64
import binascii
from typing import Final

TYPES: Final = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_FORM: Final = "use one key, as TYPE BASE64 or TYPE BASE64 COMMENT"


def public_key_fault(text: str) -> str | None:
    """Return why *text* is not one public key with an optional comment, or None if it is one.

    A line break would start another line of the file, and so another host's key. Options and
    markers come before the type, so text that starts with a type has none.
    """
    if not text.isprintable():
        return f"control character in a public key; {_FORM}"
    kind, _, rest = text.partition(" ")
    encoded, _, _ = rest.partition(" ")
    if kind not in TYPES:
        return f'unknown type "{kind}" of a public key; {_FORM}, with a type of {", ".join(TYPES)}'
    if _embedded_type(encoded) != kind:
        return f"the key is not a {kind} key in base64; {_FORM}"
    return None


def _embedded_type(encoded: str) -> str:
    """Return the type at the start of the key *encoded* (RFC 4253, 6.6), or ""."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    length = int.from_bytes(raw[:4], "big")
    # A key follows its type: a type alone is not a key.
    if len(raw) <= 4 + length:
        return ""
    return raw[4 : 4 + length].decode("ascii", errors="replace")

"""The forms that names have, each with the text that explains it."""

import base64
import binascii
import re
from collections.abc import Sequence
from functools import lru_cache

_RFC1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
# Several labels, each with a line's end behind it; one may be empty.
_LABELS = re.compile(r"(?:(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)?\n)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def dns_label(name: str) -> str | None:
    """Return what keeps *name* from being an RFC 1123 label, or None."""
    if len(name) > 63:
        return f'"{name[:20]}…" has {len(name)} characters; a name has at most 63'
    if not _RFC1123.fullmatch(name):
        form = "lower-case letters, digits and inner hyphens (RFC 1123)"
        return f'"{name}" is not a DNS label: {form}'
    return None


def are_dns_labels(words: Sequence[str]) -> bool:
    """Return whether each of *words* is an RFC 1123 label, or empty; for many at once."""
    joined = "\n".join((*words, ""))
    return joined.count("\n") == len(words) and _LABELS.fullmatch(joined) is not None


@lru_cache(maxsize=4096)  # a site repeats a few names
def port_name(name: str) -> str | None:
    """Return what keeps *name* from being a target port's name (RFC 6335), or None."""
    if len(name) > 15:
        return f'"{name}" has {len(name)} characters; a port name has at most 15'
    if not _RFC1123.fullmatch(name) or "--" in name or not re.search("[a-z]", name):
        return (
            f'"{name}" is not a port name: lower-case letters, digits and single inner hyphens, '
            "at least one letter (RFC 6335)"
        )
    return None


def domain(name: str) -> str | None:
    """Return what keeps *name* from being a domain of DNS labels, with or without a last dot."""
    return subdomain(name.removesuffix("."))


def subdomain(name: str) -> str | None:
    """Return what keeps *name* from being an RFC 1123 subdomain, or None."""
    if len(name) > 253:
        return f"a domain has at most 253 characters, this one {len(name)}"
    return next((fault for label in name.split(".") if (fault := dns_label(label))), None)


def host_name(name: str) -> str | None:
    """Return what keeps *name* from being the name of a Linux host (gethostname(2)), or None."""
    if len(name) > 64:
        return f"a host name has at most 64 characters, this one {len(name)}"
    return subdomain(name)


def label_value(value: str) -> str | None:
    """Return what keeps *value* from being a label's value, or None."""
    if len(value) > 63 or (value and not _LABEL_NAME.fullmatch(value)):
        return f'"{value}" is not a label value: at most 63 letters, digits, "-", "_" and "."'
    return None


@lru_cache(maxsize=4096)  # a site repeats a few keys
def label_key(key: str) -> str | None:
    """Return what keeps *key* from being a label's key, or None."""
    prefix, slash, name = key.rpartition("/")
    if (slash and domain(prefix)) or len(name) > 63 or not _LABEL_NAME.fullmatch(name):
        return (
            f'"{key}" is not a label key: letters, digits, "-", "_", ".", with an optional domain/'
        )
    return None


def wireguard_key(key: str) -> str | None:
    """Return what keeps *key* from being a public key of WireGuard, or None."""
    try:
        length = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        length = 0
    return None if length == 32 else "it is not a WireGuard public key: 32 bytes in base64"


def port_number(port: int) -> str | None:
    """Return what keeps *port* from being a port, or None."""
    return None if 1 <= port <= 65535 else f"{port} is not a port: 1 to 65535"

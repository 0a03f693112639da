"""Identification of owned objects: generated names, and a mark in libvirt's metadata."""

import hashlib
import uuid
from typing import Final

from groundplane_deploys.plan.libvirt.xml import Element

NAMESPACE: Final = "urn:groundplane:libvirt:1"
"""The XML namespace of the mark, which names the site, and a digest of what it asked for."""

_UUIDS: Final = uuid.uuid5(uuid.NAMESPACE_OID, NAMESPACE)


def mac_of(name: str) -> str:
    """Return the hardware address of the VM *name*: QEMU's prefix, and the name's digest."""
    digest = hashlib.sha256(name.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x52, 0x54, 0x00, *digest[:3]))


def uuid_of(site: str, kind: str, name: str) -> str:
    """Return the UUID of a thing of ours.

    libvirt does not redefine an object whose name exists with another UUID, so foreign objects are
    safe even without a check.
    """
    return str(uuid.uuid5(_UUIDS, f"{site}/{kind}/{name}"))


def pool_name(site: str) -> str:
    """Return the name of the pool: pools have no metadata, so their name is the mark."""
    return f"groundplane-{site}"


def digest_of(text: str) -> str:
    """Return what stands for *text* in a mark."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def owner_of(root: Element) -> tuple[str, str]:
    """Return the site and the digest in the mark of a domain's or network's XML; "", "": none."""
    mark = root.find(f"metadata/{{{NAMESPACE}}}owned")
    return ("", "") if mark is None else (mark.get("site", ""), mark.get("definition", ""))

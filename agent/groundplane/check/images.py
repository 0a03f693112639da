"""Base images of VMs: fetched and verified, or built."""

import re
from collections.abc import Iterator
from typing import Final

from groundplane.check.metadata import check_metadata
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.machine import Image
from groundplane.errors import Fault, FieldFaults

# Debian Policy 5.6.7. With a hyphen at the end, apt would remove the package.
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]\Z")
_CHECKSUM: Final = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")


def check_images(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors of every Image."""
    for image in catalog.images.values():
        yield from check_metadata(catalog, image)
        for path, message in (*_origin(image), *_signature(image), *_packages(image)):
            yield catalog.fault(key_of(image), path, message)


def _origin(image: Image) -> FieldFaults:
    spec = image.spec
    if (spec.source is None) == (spec.build is None):
        yield "spec", "one of source and build is needed, and not both"
    if spec.source is not None:
        if fault := _url_or_path(spec.source):
            yield "spec.source", fault
        if spec.checksum is None:
            yield "spec.checksum", "an image that is fetched needs its checksum"
    elif spec.checksum is not None or spec.signature is not None:
        field = "checksum" if spec.checksum is not None else "signature"
        yield f"spec.{field}", "it is of an image that is fetched, and this one is built"
    if spec.checksum is not None and not _CHECKSUM.match(spec.checksum):
        yield "spec.checksum", "expected sha256: and 64, or sha512: and 128 lower-case hex digits"


def _signature(image: Image) -> FieldFaults:
    signature = image.spec.signature
    if signature is None:
        return
    if fault := _url_or_path(signature.source):
        yield "spec.signature.source", fault
    if fault := _path(signature.keyring):
        yield "spec.signature.keyring", fault


def _packages(image: Image) -> FieldFaults:
    for index, package in enumerate(image.spec.build.packages if image.spec.build else ()):
        if not _PACKAGE.match(package):
            yield (
                f"spec.build.packages[{index}]",
                f'"{package}" is not the name of a Debian package',
            )


def _url_or_path(text: str) -> str | None:
    if text.startswith("https://"):
        return _path(text.removeprefix("https://"))
    return f'"{text}" is neither an https URL nor a path' if "://" in text else _path(text)


def _path(text: str) -> str | None:
    if "://" in text:
        return f'"{text}" is not a path'
    if not text or " " in text or not text.isprintable():
        return f'"{text}" is not a path: it is empty, or it has spaces or control characters'
    return None

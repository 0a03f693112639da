"""The wheel of this package: built in a checkout, or repacked from the installed package."""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

_NAME: Final = "groundplane"
_OF_AN_INSTALLATION: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
_DATE: Final = (2020, 2, 2, 0, 0, 0)  # so that the same files make the same wheel


def installed_files() -> Iterator[tuple[str, Path]]:
    """Yield what a wheel of the installed package has, but its list of files, in order of names."""
    found = metadata.distribution(_NAME)
    for each in sorted(found.files or (), key=str):
        outside = each.parts[0] == ".." or "__pycache__" in each.parts
        if not (outside or each.name in _OF_AN_INSTALLATION):
            yield str(each), Path(str(each.locate()))


def repack(directory: Path) -> Path:
    """Make the wheel of the installed package in *directory* (the binary distribution format, PEP 427)."""
    version = metadata.version(_NAME)
    wheel = directory / f"{_NAME}-{version}-py3-none-any.whl"
    listed = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, path in installed_files():
            content = path.read_bytes()
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            listed.append(f"{name},sha256={digest.decode()},{len(content)}")
        record = f"{_NAME}-{version}.dist-info/RECORD"
        text = "".join(f"{line}\n" for line in (*listed, f"{record},,"))
        archive.writestr(zipfile.ZipInfo(record, _DATE), text, zipfile.ZIP_DEFLATED)
    return wheel

"""Verify OpenPGP signatures of files with gpgv."""

import base64
import binascii
import shutil
import tempfile
from pathlib import Path
from typing import Final

from groundplane.deploy_api import Signature
from groundplane_deploys.images.download import read_small
from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.process import attempt, explain

_BEGIN: Final = b"-----BEGIN PGP "
_END: Final = b"-----END PGP "


def require_signed(file: Path, name: str, signature: Signature, directory: Path) -> None:
    """Raise ImageError unless a key of the keyring signed *file*, of the image *name*."""
    if shutil.which("gpgv") is None:
        raise ImageError(f"image {name} is signed: to see by whom, install gpgv")
    keys = dearmored(read_small(signature.keyring, directory))
    made = dearmored(read_small(signature.source, directory))
    with tempfile.TemporaryDirectory(prefix="groundplane-") as scratch:
        keyring, detached = Path(scratch, "keyring.gpg"), Path(scratch, "image.sig")
        keyring.write_bytes(keys)
        detached.write_bytes(made)
        done = attempt(
            ["gpgv", "--homedir", scratch, "--keyring", str(keyring), str(detached), str(file)],
            env={"LC_ALL": "C.UTF-8"},
        )
    if done.returncode != 0:
        raise ImageError(
            f"image {name}: {signature.source} is not a signature of it by a key in "
            f"{signature.keyring}: {explain(done)}"
        )


def dearmored(content: bytes) -> bytes:
    """Return the bytes inside an ASCII armor (RFC 9580, 6.2), or *content* if there is none."""
    lines = [line.strip() for line in content.splitlines()]
    start = next((at for at, line in enumerate(lines) if line.startswith(_BEGIN)), None)
    if start is None:
        return content
    body = lines[start + 1 :]
    if b"" in body:  # follows the armor headers
        body = body[body.index(b"") + 1 :]
    end = next((at for at, line in enumerate(body) if line.startswith((b"=", _END))), len(body))
    try:
        return base64.b64decode(b"".join(body[:end]), validate=True)
    except binascii.Error as error:
        raise ImageError(f"its ASCII armor is broken: {error}") from error

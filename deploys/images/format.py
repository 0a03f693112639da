"""Format check of disk images: qcow2 or raw, and self-contained."""

import json
from pathlib import Path

from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.process import ProcessFailed, run


def require_whole(file: Path, name: str) -> str:
    """Return "qcow2" or "raw"; ImageError for other formats and for images that name other files.

    Such names would be files of the hypervisor: a guest could read any file its image names.
    """
    try:
        shown = json.loads(run(["qemu-img", "info", "--output=json", str(file)]))
    except ProcessFailed as error:
        raise ImageError(f"image {name}: {error}") from error
    kind = str(shown["format"])
    if kind not in ("qcow2", "raw"):
        raise ImageError(f"image {name} is of the format {kind}: qcow2 and raw are known")
    details = shown.get("format-specific", {}).get("data", {})
    for other in ("backing-filename", "full-backing-filename", "data-file"):
        if named := shown.get(other) or details.get(other):
            raise ImageError(f"image {name} is not whole: it names {named}, another file")
    return kind

"""Build an image from Debian's packages, once for each recipe."""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from groundplane.deploy_api import ImageBuild
from groundplane_deploys.debian.apt import (
    NoMirror,
    choose_mirror,
    format_sources,
    read_machine_sources,
)
from groundplane_deploys.debian.bootstrap import compose_debootstrap, compose_script
from groundplane_deploys.images.disk import make_disk
from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.images.recipe import Recipe, UnknownArchitecture
from groundplane_deploys.locks import lock_file
from groundplane_deploys.process import ProcessFailed, run

_PROGRAMS = {
    "debootstrap": "debootstrap",
    "dpkg": "dpkg",
    "grub-mkimage": "grub-common",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
}


def ensure_built(build: ImageBuild, cache: Path) -> Path:
    """Return the qcow2 file of *build* in the directory *cache*; ImageError if the build fails.

    A recipe is built once, from the archive's state at that time. To rebuild it, remove the file.
    """
    _require_programs()
    architecture = run(["dpkg", "--print-architecture"]).strip()
    try:
        recipe = Recipe(build.suite, architecture, build.packages)
    except UnknownArchitecture as error:
        raise ImageError(str(error)) from error
    image = cache / f"{recipe.suite}-{recipe.key}.qcow2"
    if image.is_file():
        return image
    cache.mkdir(parents=True, exist_ok=True)
    with lock_file(cache / "build.lock", "another build of an image"):
        if not image.is_file():
            for left in cache.glob("building-*"):
                shutil.rmtree(left)
            _build(recipe, image)
    return image


def _build(recipe: Recipe, image: Path) -> None:
    _say(f"building {image.name} (once, some minutes)")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="building-", dir=image.parent) as directory:
        tree, new = Path(directory, "root"), Path(directory, "image.qcow2")
        try:
            _fill(tree, recipe)
            make_disk(tree, new)
        except (NoMirror, ProcessFailed) as error:
            raise ImageError(f"building {recipe.suite}: {error}{_debootstrap_log(tree)}") from error
        new.rename(image)
    _say(f"{image.name} is there after {time.monotonic() - began:.0f} s")


def _fill(tree: Path, recipe: Recipe) -> None:
    sources = read_machine_sources()
    mirror = choose_mirror(sources, recipe.suite)
    plain = {"LC_ALL": "C.UTF-8"}
    run(compose_debootstrap(tree, mirror, recipe.suite, ["ca-certificates"]), env=plain)
    texts = {"etc/apt/sources.list": format_sources(sources, mirror, recipe.suite), **recipe.files}
    for name, text in texts.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    # Only apt in the tree uses it; the script replaces it with the image's symlink.
    (tree / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
    run(compose_script(tree, recipe.script), env=plain)


def _debootstrap_log(tree: Path) -> str:
    log = tree / "debootstrap/debootstrap.log"
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return "".join(f"\n    {line}" for line in lines[-10:])


def _require_programs() -> None:
    missing = sorted({_PROGRAMS[name] for name in _PROGRAMS if shutil.which(name) is None})
    if not Path("/usr/lib/grub/i386-pc/boot.img").is_file():
        missing.append("grub-pc-bin")
    if os.geteuid() != 0:
        raise ImageError("images are built by root: debootstrap needs it")
    if missing:
        raise ImageError(f"to build an image, install {', '.join(missing)}")


def _say(text: str) -> None:
    print(f"images: {text}", file=sys.stderr, flush=True)

"""Images on booted hosts: each has its own errors, the others go on, and a re-run completes."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploys.virtualization.hosts import bridge, hypervisor, on, run, write_site

pytestmark = [pytest.mark.nodes, pytest.mark.usefixtures("lab")]

IMAGES = "groundplane_deploys.virtualization.images"
NETWORK = bridge("br9", None, "192.168.79.0/24", "192.168.79.1")

IMAGE = """\
---
apiVersion: groundplane/v1
kind: Image
metadata: {{name: {name}}}
spec: {{source: {source}, checksum: "sha256:{checksum}"}}
"""

VM = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: vm-{hypervisor}}}
spec:
  addresses: [192.168.79.{number}]
  vm: {{hypervisor: {hypervisor}, image: {image}, network: br9}}
"""


def disk(path: Path, text: bytes) -> str:
    """Write a qcow2 whose content nothing compresses much; return its SHA-256."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(text * (1 << 16))
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path)]
    subprocess.run(convert, check=True)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def site(directory: Path, h1: tuple[str, str], h2: tuple[str, str]) -> Path:
    """Write a catalog whose two hypervisors have a VM each, of one image: source and checksum."""
    documents = [hypervisor(name, NETWORK) for name in ("h1", "h2")]
    for number, (name, (source, checksum)) in enumerate((("h1", h1), ("h2", h2)), start=11):
        documents.append(IMAGE.format(name=f"of-{name}", source=source, checksum=checksum))
        documents.append(VM.format(hypervisor=name, number=number, image=f"of-{name}"))
    return write_site(directory, *documents)


def test_a_wrong_checksum_is_an_error_of_one_host_and_a_second_run_completes(
    tmp_path: Path,
) -> None:
    source = tmp_path / "site"
    source.mkdir()
    right = disk(source / "a.qcow2", b"first")
    wrong = "0" * 64
    first = run(IMAGES, site(source, ("a.qcow2", right), ("a.qcow2", wrong)), "h1", "h2")
    assert f"[h2] a.qcow2: its checksum is sha256:{right}, and sha256:{wrong} is expected" in (
        first.text
    )
    path = "/srv/pool/images/of-h1.qcow2"
    assert on("h1", f"readlink {path}") == f"of-h1-{right[:12]}.qcow2"
    assert on("h1", f"sha256sum < {path}; cat {path}.sha256").split() == [right, "-", right]
    assert on("h2", "ls /srv") == ""

    site(source, ("a.qcow2", right), ("a.qcow2", right))
    second = run(IMAGES, source, "h1", "h2")
    assert second.code == 0, second.text
    assert on("h2", "sha256sum < /srv/pool/images/of-h2.qcow2").split()[0] == right
    third = run(IMAGES, source, "h1", "h2")
    assert re.search(r"Grand total +\d+ +- +- +\d+", third.text), third.text


def test_a_new_content_lies_beside_the_old_one_until_it_is_purged(tmp_path: Path) -> None:
    source = tmp_path / "site"
    source.mkdir()
    old, new = disk(source / "a.qcow2", b"old"), disk(source / "b.qcow2", b"new")
    run(IMAGES, site(source, ("a.qcow2", old), ("a.qcow2", old)), "h1")
    done = run(IMAGES, site(source, ("b.qcow2", new), ("a.qcow2", old)), "h1")
    assert done.code == 0, done.text
    there = on("h1", "ls /srv/pool/images")
    assert f"of-h1-{old[:12]}.qcow2" in there
    assert f"of-h1-{new[:12]}.qcow2" in there

    # A disk that does not tell: here is not a qemu-img.
    on("h1", "touch /srv/pool/vm.qcow2")
    refused = run(IMAGES, source, "h1", purge=True)
    assert refused.code != 0
    assert "it cannot be told what /srv/pool/vm.qcow2 is an overlay of" in refused.text
    assert on("h1", "ls /srv/pool/images") == there

    on("h1", "rm /srv/pool/vm.qcow2")
    purged = run(IMAGES, source, "h1", purge=True)
    assert purged.code == 0, purged.text
    assert on("h1", "ls /srv/pool/images").split() == [
        f"of-h1-{new[:12]}.qcow2",
        "of-h1.qcow2",
        "of-h1.qcow2.sha256",
    ]


def test_a_full_disk_is_told_before_and_a_second_run_completes(tmp_path: Path) -> None:
    source = tmp_path / "site"
    source.mkdir()
    image = disk(source / "a.qcow2", b"large")
    site(source, ("a.qcow2", image), ("a.qcow2", image))
    on("h1", "mkdir -p /srv/pool && mount -t tmpfs -o size=2M tmpfs /srv/pool")
    try:
        done = run(IMAGES, source, "h1", "h2")
    finally:
        on("h1", "umount /srv/pool")
    assert re.search(
        r"\[h1\] image of-h1 needs \d+ MiB in /srv/pool/images, and [12] MiB are free", done.text
    ), done.text
    assert on("h2", "sha256sum < /srv/pool/images/of-h2.qcow2").split()[0] == image
    again = run(IMAGES, source, "h1", "h2")
    assert again.code == 0, again.text


def test_what_did_not_arrive_whole_is_not_taken(tmp_path: Path) -> None:
    source = tmp_path / "site"
    source.mkdir()
    image = disk(source / "a.qcow2", b"cut off")
    name = f"of-h1-{image[:12]}.qcow2"
    on("h1", f"mkdir -p /srv/pool/images && echo half > /srv/pool/images/.{name}.new")
    done = run(IMAGES, site(source, ("a.qcow2", image), ("a.qcow2", image)), "h1")
    assert done.code == 0, done.text
    assert on("h1", f"sha256sum < /srv/pool/images/{name}").split()[0] == image
    assert f".{name}.new" not in on("h1", "ls -A /srv/pool/images")

"""A hypervisor gets the images that its own VMs begin as, and no others."""

from pathlib import Path

from groundplane.compile.pipeline import read_catalog
from groundplane_deploys.images.wanted import images_of
from tests.deploys.virtualization.hosts import SITE

NETWORK = "networks: [{name: br0, cidrs: [198.51.100.0/24]}]"


def hypervisor(name: str) -> str:
    return (
        f"---\napiVersion: groundplane/v1\nkind: Hypervisor\nmetadata: {{name: {name}}}\n"
        f"spec: {{management: {{host: 192.0.2.1}}, {NETWORK}}}\n"
    )


def image(name: str) -> str:
    return (
        f"---\napiVersion: groundplane/v1\nkind: Image\nmetadata: {{name: {name}}}\n"
        "spec: {build: {suite: bookworm}}\n"
    )


def vm(number: int, on: str, image: str) -> str:
    return (
        f"---\napiVersion: groundplane/v1\nkind: Node\nmetadata: {{name: vm{number}}}\n"
        f"spec: {{addresses: [198.51.100.{number}],"
        f" vm: {{hypervisor: {on}, image: {image}, network: br0}}}}\n"
    )


def test_images_of_its_own_vms_once_each(tmp_path: Path) -> None:
    documents = [hypervisor("h1"), hypervisor("h2"), image("a"), image("b"), image("c")]
    documents += [vm(1, "h1", "b"), vm(2, "h1", "a"), vm(3, "h1", "b"), vm(4, "h2", "c")]
    (tmp_path / "site.yaml").write_text(SITE + "".join(documents))
    catalog = read_catalog(tmp_path)
    assert [each.name for each in images_of(catalog, "h1")] == ["a", "b"]
    assert [each.name for each in images_of(catalog, "h2")] == ["c"]

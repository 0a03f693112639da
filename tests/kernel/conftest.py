"""The world that the traffic tests share, and the reason why they cannot run where they cannot."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.load import load
from groundplane.site import compiled
from tests.kernel.spaces import own
from tests.kernel.world import World, world


@pytest.fixture(scope="session", autouse=True)
def _needs_root() -> None:
    missing = [name for name in ("nft", "ip") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"kernel tests need root and {', '.join(missing) or 'nothing else'}")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> compiled.Site:
    source = tmp_path_factory.mktemp("site")
    (source / "site.yaml").write_text(
        (Path(__file__).parents[1] / "conformance/site.yaml").read_text()
    )
    catalog = load(source)
    assert [] == check(catalog)
    return compile_site(catalog, allocate(catalog, Lock()))


@pytest.fixture(scope="module")
def net(site: compiled.Site) -> Iterator[World]:
    with world(site, own("k")) as built:
        for name, port in (("a", 8080), ("b", 8081), ("c", 8080)):
            built.serve(built.workload(name), name, port)
        for node in site.nodes:
            # A datagram's answer has to come from the address that was asked.
            built.serve(built.node(node.name), node.name, 8090, node.addresses)
            built.serve(built.node(node.name), "sshd", 22)
        yield built

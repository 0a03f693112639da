"""An image is really built and really booted: what cloud-init is to do, it does."""

from collections.abc import Iterator

import pytest

from groundplane.documents.machine import ImageBuild
from groundplane_deploys.images.build import ensure_built
from groundplane_deploys.images.cache import cache_directory
from tests.deploys.images.booted import Machine, booted

pytestmark = [pytest.mark.vms, pytest.mark.slow]


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    image = ensure_built(ImageBuild(suite=request.param), cache_directory())
    with booted(image, tmp_path_factory.mktemp("machine"), "4G") as machine:
        yield machine


def test_cloud_init_is_content(machine: Machine) -> None:
    assert "status: done" in machine.on("cloud-init status --wait --long")
    assert machine.on("systemctl is-system-running --wait || systemctl --failed") == "running"
    assert machine.on("hostname") == "web-1"


def test_its_addresses_are_those_of_the_seed(machine: Machine) -> None:
    shown = machine.on("ip -brief addr show scope global; ip -brief addr show scope site")
    assert "10.0.2.77/24" in shown
    assert "fec0::77/64" in shown
    assert "via 10.0.2.2" in machine.on("ip route show default")
    assert "10.0.2.3" in machine.on("resolvectl dns")


def test_the_root_file_system_has_grown(machine: Machine) -> None:
    assert int(machine.on("df --output=size -m / | tail -1")) > 3500


def test_what_a_machine_makes_for_itself_is_not_the_images(machine: Machine) -> None:
    assert machine.on("ls /etc/ssh/ssh_host_*_key") == "/etc/ssh/ssh_host_ed25519_key"
    assert len(machine.on("cat /etc/machine-id")) == 32


def test_users_find_what_they_need(machine: Machine) -> None:
    machine.on("command -v python3 sudo ip ping apt-get growpart")
    assert machine.on("apt-get -s install nftables >/dev/null 2>&1; cat /etc/apt/sources.list")

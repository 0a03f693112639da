"""The disk of a VM: of the file that is its image when it is made, for good."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pyinfra.api import State
from pyinfra.api.operation import add_op

from groundplane_deploys.operations import disks
from groundplane_deploys.plan.libvirt.machine import Machine
from tests.deploys.plan.libvirt.machines import V1
from tests.deploys.runs import run


class Hypervisor:
    """This machine, with a pool of its own and a virsh that does nothing."""

    def __init__(self, pool: Path) -> None:
        self.images, self.link = pool / "images", pool / "images" / "debian.qcow2"
        self.machine = replace(V1, pool=str(pool), base=str(self.link))
        (pool / "disks").mkdir()
        self.images.mkdir()

    def put(self, content: str) -> Path:
        """Have an image of that *content*, to which the link leads from now on."""
        image = self.images / f"debian-{content}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(image.name)
        return image

    def deploy(self) -> None:
        def disk(state: State) -> None:
            add_op(state, disks.disk, machine=self.machine)

        run(["@local"], {}, disk)


def backing(machine: Machine) -> str:
    command = ["qemu-img", "info", "--output=json", machine.disk_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: str = json.loads(done.stdout)["backing-filename"]
    return found


@pytest.fixture
def hypervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hypervisor:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "virsh").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return Hypervisor(tmp_path)


def test_a_disk_is_of_the_file_and_not_of_the_link_to_it(hypervisor: Hypervisor) -> None:
    """A newer image would change what is below a disk that is in use."""
    first = hypervisor.put("1")
    hypervisor.deploy()
    hypervisor.put("2")
    hypervisor.deploy()
    assert str(first) == backing(hypervisor.machine)


def test_a_disk_of_an_older_image_is_told_and_one_of_the_newest_is_not(
    hypervisor: Hypervisor, caplog: pytest.LogCaptureFixture
) -> None:
    first = hypervisor.put("1")
    hypervisor.deploy()
    hypervisor.deploy()
    assert "began as" not in caplog.text
    hypervisor.put("2")
    hypervisor.deploy()
    assert f"VM v1: its disk began as {first} and stays so" in caplog.text


def test_a_disk_whose_image_is_gone_is_not_of_another_one(
    hypervisor: Hypervisor, caplog: pytest.LogCaptureFixture
) -> None:
    image = hypervisor.put("1")
    hypervisor.deploy()
    image.unlink()
    hypervisor.deploy()
    assert "began as" not in caplog.text


def test_without_its_image_no_disk_is_made(
    hypervisor: Hypervisor, caplog: pytest.LogCaptureFixture
) -> None:
    image = hypervisor.put("1")
    image.unlink()
    hypervisor.deploy()
    assert not Path(hypervisor.machine.disk_path).exists()
    assert f"Could not open '{image}': No such file or directory" in caplog.text

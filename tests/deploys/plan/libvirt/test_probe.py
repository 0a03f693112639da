"""The guest that probes kvm: it ends as it should, and the answer is asked for once."""

import shutil
import subprocess
from pathlib import Path

import pytest

from groundplane_deploys.plan.libvirt.probe import EXIT_STATUS, SECTOR, guest_command, probe_script

needs_qemu = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs qemu")


def _shell(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], text=True, capture_output=True)


@needs_qemu
def test_where_instructions_are_run_the_guest_ends_qemu(tmp_path: Path) -> None:
    file = tmp_path / "sector"
    file.write_bytes(SECTOR)
    assert _shell(guest_command("tcg", str(file))).returncode == EXIT_STATUS


def test_the_sector_is_one_that_a_bios_boots() -> None:
    assert (len(SECTOR), SECTOR[-2:]) == (512, b"\x55\xaa")


@pytest.mark.slow
@needs_qemu
def test_the_answer_is_kept(tmp_path: Path) -> None:
    record = tmp_path / "record"
    answer = _shell(probe_script(str(record))).stdout.strip()
    assert answer in ("kvm", "qemu")
    assert record.read_text().strip() == answer
    record.write_text("kept\n")
    assert _shell(probe_script(str(record))).stdout == "kept\n"

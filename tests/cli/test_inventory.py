"""`groundplane inventory`: for people, and for Ansible itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.catalogs import SITE, write
from tests.cli.run import Command
from tests.test_inventory import MACHINES


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    write(tmp_path, {"site.yaml": SITE, "machines.yaml": MACHINES})
    return tmp_path


def test_it_lists_machines_with_their_groups(groundplane: Command, machines: Path) -> None:
    shown = groundplane("inventory", f"{machines}/")
    assert 0 == shown.status
    assert {"NAME", "big", "n1", "v1"} == {line.split()[0] for line in shown.out.splitlines()}
    assert "admin@big.example" in shown.out


def test_a_host_that_is_not_there(machines: Path, groundplane: Command) -> None:
    shown = groundplane("inventory", "--host", "v2", f"{machines}/")
    assert 1 == shown.status
    assert 'there is no host "v2"' in shown.err


def test_ansible_itself_reads_it(machines: Path) -> None:
    script = machines / "inventory.sh"
    command = f'{Path(sys.executable).with_name("groundplane")} inventory --format ansible "$@"'
    script.write_text(f"#!/bin/sh\nexec {command} {machines}/\n")
    script.chmod(0o755)
    done = subprocess.run(
        ["ansible-inventory", "-i", str(script), "--list"], text=True, capture_output=True
    )
    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert {"big", "n1", "v1"} == set(found["_meta"]["hostvars"])
    assert ["v1"] == found["vms"]["hosts"]
    assert "big.example" == found["_meta"]["hostvars"]["big"]["ansible_host"]

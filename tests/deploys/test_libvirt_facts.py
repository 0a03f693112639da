"""What virsh and qemu-img print, read as facts: a virsh of the test's own answers."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundplane_deploys.facts.libvirt import (
    Domains,
    Filters,
    Found,
    FoundDomain,
    LibvirtFault,
    Networks,
    OfferedKeys,
    Pools,
    PublicKeys,
    SeedDigests,
    Volume,
    Volumes,
)

VIRSH = """\
#!/bin/sh
shift 3
case "$*" in
"version") ;;
"list --all --uuid") printf '11\\n22\\n\\n' ;;
"domstate 11") echo running ;;
"domstate 22") echo 'shut off' ;;
"dominfo 11") printf 'Id:             1\\nName:           v1\\nAutostart:      enable\\n' ;;
"dominfo 22") printf 'Name:           some one\\nAutostart:      disable\\n' ;;
"snapshot-list --name 11") printf 'first\\nsecond one\\n\\n' ;;
"dumpxml --inactive 11") printf '<domain>\\n</domain>\\n' ;;
"dumpxml 11") printf "<domain id='1'>\\n</domain>\\n" ;;
"dumpxml "*) echo '<domain/>' ;;
"nwfilter-list") printf ' 44   clean-traffic\\n 55   no-mac-spoofing\\n\\n' ;;
"net-list --all --uuid" | "pool-list --all --uuid") echo 33 ;;
"net-info 33") printf 'Name:           vms\\nActive:         yes\\nAutostart:      no\\n' ;;
"pool-info 33") printf 'Name:           disks\\nState:          inactive\\nAutostart:      yes\\n' ;;
"net-dumpxml --inactive 33" | "pool-dumpxml --inactive 33") echo '<defined/>' ;;
"net-dumpxml 33" | "pool-dumpxml 33") echo '<live/>' ;;
*) exit 1 ;;
esac
"""

Ask = Callable[..., Any]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    virsh = tmp_path / "virsh"
    virsh.write_text(VIRSH)
    virsh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def asked(fact: Any, **arguments: Any) -> Any:
        command = str(fact.command(**arguments))
        done = subprocess.run(["sh", "-c", command], text=True, capture_output=True, check=True)
        lines = done.stdout.splitlines()
        return fact.process(lines) if lines else fact.default()

    return asked


def test_domains_are_read_with_all_that_is_asked_of_them(ask: Ask) -> None:
    assert ask(Domains()) == {
        "v1": FoundDomain(
            "v1",
            "running",
            True,
            ("first", "second one"),
            "<domain>\n</domain>",
            "<domain id='1'>\n</domain>",
        ),
        "some one": FoundDomain("some one", "shut off", False, (), "<domain/>", ""),
    }


def test_a_network_and_a_pool_are_live_while_they_are_active(ask: Ask) -> None:
    assert ask(Networks()) == {"vms": Found("vms", False, "<defined/>", "<live/>")}
    assert ask(Pools()) == {"disks": Found("disks", True, "<defined/>", "")}


def test_network_filters_are_named(ask: Ask) -> None:
    assert ["clean-traffic", "no-mac-spoofing"] == ask(Filters())


def test_a_libvirt_that_does_not_answer_has_nothing_and_says_why(ask: Ask, tmp_path: Path) -> None:
    assert ask(LibvirtFault()) == ""
    failing = "#!/bin/sh\nprintf 'error: failed to connect\\nerror: no socket\\n' >&2\nexit 1\n"
    (tmp_path / "virsh").write_text(failing)
    assert ask(LibvirtFault()) == "failed to connect; no socket"
    assert (ask(Domains()), ask(Networks()), ask(Pools())) == ({}, {}, {})
    (tmp_path / "virsh").unlink()


def test_volumes_are_those_that_are_there(tmp_path: Path) -> None:
    shown = [
        {"filename": "/a.qcow2", "virtual-size": 10, "backing-filename": "/base.qcow2"},
        {"filename": "/base.qcow2", "virtual-size": 5, "children": [{"info": {"filename": "x"}}]},
    ]
    text = "\n".join(json.dumps(each, indent=4) for each in shown)
    assert Volumes().process(text.splitlines()) == {
        "/a.qcow2": Volume(10, "/base.qcow2"),
        "/base.qcow2": Volume(5, ""),
    }


def test_public_keys_and_digests_are_by_name(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "v1.pub").write_text("ssh-ed25519 AAAA v1\n")
    (tmp_path / "v1.digest").write_text("abcd\n")
    (tmp_path / "v1.iso").touch()
    (tmp_path / "v2.digest").write_text("without its seed\n")
    assert ask(PublicKeys(), directory=str(tmp_path)) == {"v1": "ssh-ed25519 AAAA"}
    assert ask(SeedDigests(), directory=str(tmp_path)) == {"v1": "abcd"}
    assert ask(PublicKeys(), directory="/nowhere/at all") == {}
    assert ask(SeedDigests(), directory="/nowhere/at all") == {}


def test_offered_keys_are_by_address() -> None:
    lines = ["10.0.0.1 ssh-ed25519 AAAA", "fd00::1 ssh-ed25519 BBBB", "# 10.0.0.1:22 SSH-2.0"]
    assert OfferedKeys().process(lines) == {
        "10.0.0.1": "ssh-ed25519 AAAA",
        "fd00::1": "ssh-ed25519 BBBB",
    }

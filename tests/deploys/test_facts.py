"""Facts: how a host's answer is read."""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from groundplane.dataplanes.dns.serials import Serials
from groundplane_deploys.facts.files import (
    BindVersion,
    DirectoryDigests,
    FirstSerials,
    GlobalNameServers,
    NameServers,
    Permissions,
    PythonVersion,
)


def _answer(command: object) -> list[str]:
    done = subprocess.run(["sh", "-c", str(command)], text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


def test_digests_name_every_file_but_hidden_ones_that_are_no_rules(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text("a")
    (tmp_path / "sub" / "with space.yaml").write_text("b")
    (tmp_path / ".hidden").write_text("c")
    (tmp_path / "sub/.groundplaneignore").write_text("d")
    fact = DirectoryDigests()
    assert fact.process(_answer(fact.command(str(tmp_path)))) == {
        "a.yaml": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "sub/.groundplaneignore": hashlib.sha256(b"d").hexdigest(),
        "sub/with space.yaml": "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
    }


@pytest.mark.parametrize("path", ["/nowhere/at all", "/etc/hostname"])
def test_what_is_no_directory_has_no_digests(path: str) -> None:
    fact = DirectoryDigests()
    assert fact.process(_answer(fact.command(path))) == {}


def test_permissions_are_those_of_a_directory_and_of_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "with space").touch(mode=0o640)
    tmp_path.chmod(0o750)
    found = Permissions()
    owner = f"{tmp_path.owner()}:{tmp_path.group()}"
    assert found.process(_answer(found.command(str(tmp_path)))) == {
        "": f"750 {owner}",
        "with space": f"640 {owner}",
    }
    assert found.process(_answer(found.command("/nowhere/at all"))) == {}


def test_a_version_of_python_is_that_which_is_installed_or_can_be(tmp_path: Path) -> None:
    fact = PythonVersion()
    here = tuple(map(int, platform.python_version_tuple()[:2]))
    assert here == fact.process(
        _answer(f"PATH={Path(sys.executable).parent}:$PATH; {fact.command()}")
    )
    for program in ("apt-cache", "sed"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    assert fact.process(_answer(f"PATH={tmp_path}; {fact.command()}")) >= (3, 11)
    assert fact.process([]) == (0, 0)


def test_name_servers_are_the_lines_of_the_file() -> None:
    assert NameServers().process(["nameserver 10.0.0.1 ", "options edns0"]) == [
        "nameserver 10.0.0.1",
        "options edns0",
    ]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (["1:9.18.49-1~deb12u1"], (9, 18)),
        (["1:9.20.4-2"], (9, 20)),
        (["9.20.1"], (9, 20)),
        (["(none)"], (0, 0)),
        ([], (0, 0)),
    ],
)
def test_the_version_of_bind_is_that_of_its_package(
    output: list[str], expected: tuple[int, int]
) -> None:
    assert expected == BindVersion().process(output)


def test_what_is_installed_is_found_by_the_command() -> None:
    done = subprocess.run(["sh", "-c", BindVersion().command()], capture_output=True, text=True)
    assert BindVersion().process(done.stdout.splitlines()) >= (9, 18)


def test_serials_go_on_after_those_that_were_kept(tmp_path: Path) -> None:
    file = tmp_path / "serials.json"
    assert {} == FirstSerials().process([])
    Serials(file).note({"a.example": 7})
    assert 7 < FirstSerials().process(file.read_text().splitlines())["a.example"]


def test_global_name_servers_are_those_of_others() -> None:
    text = """\
# /etc/systemd/resolved.conf
[Resolve]
#DNS=1.1.1.1
DNS=192.0.2.1
FallbackDNS=9.9.9.9

# /etc/systemd/resolved.conf.d/a.conf
[Resolve]
DNS=
DNS = 192.0.2.53 2001:db8::53#dns.example

# /etc/systemd/resolved.conf.d/groundplane.conf
[Resolve]
DNS=127.0.0.1
"""
    assert GlobalNameServers().process(text.splitlines()) == {
        "/etc/systemd/resolved.conf.d/a.conf": ["192.0.2.53", "2001:db8::53#dns.example"]
    }

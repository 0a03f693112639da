"""The wait for a VM's ssh, with programs of the test's own in place of virsh and ssh-keyscan."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from groundplane_deploys.plan.libvirt.greeting import wait_script
from tests.deploys.plan.libvirt.machines import V1

KEYSCAN = """\
#!/bin/sh
echo "$*" >>asked
for address; do :; done
test -s offered && echo "$address ssh-ed25519 $(head -n 1 offered)"
sed -i 1d offered
"""
NO_PING = "#!/bin/sh\nexit 1\n"

Waited = tuple[int, str]
Wait = Callable[..., Waited]


@pytest.fixture
def wait(tmp_path: Path) -> Wait:
    """Return the status of the wait and what it says, about a VM whose host key is KEY."""
    for name, text in {"ssh-keyscan": KEYSCAN, "ping": NO_PING}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    machine = replace(V1, pool=str(tmp_path), addresses=("127.0.0.77/24",))

    def waited(*offered: str, state: str = "running", key: str = "KEY", limit: int = 0) -> Waited:
        (tmp_path / "host-keys").mkdir(exist_ok=True)
        Path(f"{machine.host_key}.pub").write_text(f"ssh-ed25519 {key} v1\n" if key else "")
        (tmp_path / "offered").write_text("".join(f"{each}\n" for each in offered))
        virsh = f"sh -c 'echo {state}' virsh"
        done = subprocess.run(
            ["sh", "-c", wait_script(machine, limit, virsh)],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
            text=True,
            capture_output=True,
        )
        return done.returncode, done.stdout + done.stderr

    return waited


def test_the_pinned_key_ends_it(wait: Wait) -> None:
    assert (0, "") == wait("KEY")


def test_it_waits_for_the_pinned_key(wait: Wait) -> None:
    assert (0, "") == wait("", "OTHER", "KEY", limit=60)


@pytest.mark.parametrize(
    ("offered", "state", "key", "why"),
    [
        ("", "shut off", "KEY", "the domain is not running: shut off"),
        ("OTHER", "running", "KEY", "another host key is offered"),
        ("KEYS", "running", "KEY", "another host key is offered"),
        ("", "running", "KEY", "Connection refused"),
        ("", "running", "", f"no host key in {{pool}}/host-keys/{V1.name}.pub"),
    ],
)
def test_the_reason_is_named(
    wait: Wait, tmp_path: Path, offered: str, state: str, key: str, why: str
) -> None:
    told = (
        f"VM v1: no ssh with its host key at 127.0.0.77:22 after N s: {why.format(pool=tmp_path)}; "
        "see: virsh console v1\n"
    )
    status, found = wait(offered, state=state, key=key)
    assert (1, told) == (status, re.sub(r"after \d+ s", "after N s", found))


def test_a_vm_that_does_not_run_is_not_waited_for(wait: Wait, tmp_path: Path) -> None:
    status, told = wait(state="crashed", limit=600)
    assert (1, True) == (status, "the domain is not running: crashed" in told)
    assert 1 == len((tmp_path / "asked").read_text().splitlines())

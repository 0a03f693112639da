"""Commands of exec probes, run for real: where, as whom, and with what they cannot do."""

import asyncio
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from groundplane.probes.execution import OUTPUT_BYTES, Reply, helper_at, refused, run, serve
from tests.kernel.spaces import namespace, own
from tests.probes.servers import probe
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]
USER = "nobody"
SHELL = str(Path("/bin/sh").resolve())


@pytest.fixture
def listed() -> Iterator[Path]:
    """Return an allow-list that has the shell, so that a test can say what is to be done."""
    file = Path(f"/run/{own('exec')}")
    file.write_text(f"/usr/bin/true\n{SHELL}\nrelative\n/run/absent\n")
    file.chmod(0o644)
    yield file
    file.unlink()


def ran(listed: Path, script: str, space: Path | None = None, timeout: float = 5) -> Reply:
    return asyncio.run(run((SHELL, "-c", script), space, listed, USER, timeout))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", Reply(True, "exit status 0")),
        ("echo fine", Reply(True, "fine")),
        ("echo one; echo two >&2; exit 3", Reply(False, "exit status 3: one\ntwo")),
        ("kill -TERM $$", Reply(False, "ended by SIGTERM")),
        ("printf 'a\\033[2J'", Reply(True, "a\ufffd[2J")),
        ("cat", Reply(True, "exit status 0")),
        ("env | sort", Reply(True, "HOME=/\nLC_ALL=C.UTF-8\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/")),
    ],
)  # fmt: skip
def test_status_0_passes_with_what_is_said(listed: Path, script: str, expected: Reply) -> None:
    assert expected == ran(listed, script)


def test_it_runs_as_a_user_without_any_right(listed: Path) -> None:
    found = ran(listed, "cat /proc/self/status").reason
    fields = dict(line.split(":\t", 1) for line in found.splitlines() if ":\t" in line)
    account = pwd.getpwnam(USER)
    assert "\t".join([str(account.pw_uid)] * 4) == fields["Uid"]
    assert "\t".join([str(account.pw_gid)] * 4) == fields["Gid"]
    assert "" == fields["Groups"].strip()
    assert {"0" * 16} == {fields[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    assert "1" == fields["NoNewPrivs"]


@pytest.mark.parametrize(
    "script",
    [
        "dd if=/dev/zero of=/tmp/$$ bs=1M count=3; s=$?; rm -f /tmp/$$; exit $s",
        "ulimit -n 1000",
        "ulimit -v 99999999",
        "echo x > /run/groundplane-test",
        "ip link add probe type dummy",
    ],
)
def test_it_can_do_little(listed: Path, script: str) -> None:
    assert not ran(listed, script).passed


def test_it_runs_in_the_workloads_network(listed: Path) -> None:
    with namespace("exec") as space:
        path = Path("/run/netns", space)
        inside = ran(listed, "readlink /proc/self/ns/net", path).reason
        assert f"net:[{path.stat().st_ino}]" == inside
    assert os.readlink("/proc/self/ns/net") == ran(listed, "readlink /proc/self/ns/net").reason
    gone = Reply(False, f"there is no network namespace {space}")
    assert gone == ran(listed, "true", Path("/run/netns", space))


def there(argument: str) -> bool:
    return subprocess.run(["pgrep", "-f", argument], capture_output=True).returncode == 0


def test_who_takes_too_long_is_killed_with_all_it_started(listed: Path) -> None:
    start = time.monotonic()
    found = ran(listed, "sleep 97531 & sleep 97531", timeout=0.3)
    assert Reply(False, "no answer within 0.3 s", hung=True) == found
    assert time.monotonic() - start < PATIENCE
    assert not there("^sleep 97531")


def test_what_it_leaves_behind_is_killed_and_not_waited_for(listed: Path) -> None:
    start = time.monotonic()
    assert Reply(True, "done") == ran(listed, "sleep 86420 & echo done")
    assert time.monotonic() - start < PATIENCE
    assert not there("^sleep 86420")


def test_of_what_it_says_the_beginning_is_kept(listed: Path) -> None:
    found = ran(listed, "yes | head -c 5000000")
    assert found.passed
    assert OUTPUT_BYTES - 1 == len(found.reason)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("/usr/bin/false", "'/usr/bin/false' is not listed in {}"),
        ("/usr/bin/../bin/true", "'/usr/bin/../bin/true' is not listed in {}"),
        ("relative", "'relative' is not an absolute path"),
        ("/run/absent", "/run/absent is not run: /run/absent: No such file or directory"),
    ],
)
def test_only_what_is_listed_is_run(listed: Path, program: str, why: str) -> None:
    assert why.format(listed) == refused((program,), listed)
    assert "" == refused(("/usr/bin/true",), listed)
    assert not asyncio.run(run((program,), None, listed, USER, 1)).passed


def test_a_list_that_others_can_write_lists_nothing(listed: Path) -> None:
    listed.chmod(0o664)
    why = f"no command is run: {listed} can be written by others than root"
    assert why == refused(("/usr/bin/true",), listed)
    listed.chmod(0o644)
    os.chown(listed, 65534, 0)
    assert why == refused(("/usr/bin/true",), listed)


@pytest.mark.parametrize(("mode", "owner"), [(0o775, 0), (0o757, 0), (0o755, 65534)])
def test_a_program_that_others_can_write_is_not_run(
    listed: Path, tmp_path: Path, mode: int, owner: int
) -> None:
    program = tmp_path / "check"
    program.write_text("#!/bin/sh\n")
    program.chmod(mode)
    os.chown(program, owner, 0)
    listed.write_text(f"{program}\n")
    assert f"{program} is not run: {program} can be written by others than root" == refused(
        (str(program),), listed
    )


def test_a_program_in_a_directory_of_others_is_not_run(listed: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "check"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    os.chown(program.parent, 65534, 0)
    listed.write_text(f"{program}\n")
    assert refused((str(program),), listed).startswith(f"{program} is not run: {program.parent} ")


CLIENT = """
import asyncio, os, sys
from pathlib import Path
from groundplane.probes.execution import helper_at
from tests.probes.servers import probe
os.setuid(int(sys.argv[2]))
asked = probe(0, "exec", command=("/usr/bin/true",))
try:
    print(asyncio.run(helper_at(Path(sys.argv[1]))(asked)))
except OSError as error:
    print(error)
"""


def test_the_helper_runs_what_the_agent_asks_for(listed: Path) -> None:
    path = listed.with_suffix(".sock")
    asked = replace(probe(0, "exec"), command=(SHELL, "-c", "exit 4"))

    async def steps() -> None:
        serving = asyncio.create_task(serve(path, listed, USER, {65533}))
        while not path.exists():
            await asyncio.sleep(0.01)
        ask = helper_at(path)
        assert (False, "exit status 4") == await ask(asked)
        assert (True, "exit status 0") == await ask(replace(asked, command=("/usr/bin/true",)))
        assert (False, "there is no network namespace absent") == await ask(
            replace(asked, instance="absent")
        )
        with pytest.raises(OSError, match="gives no answer"):
            await ask(replace(asked, instance="../absent"))
        for uid, expected in (("65533", "(True, 'exit status 0')"), ("65532", "gives no answer")):
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CLIENT, str(path), uid, stdout=subprocess.PIPE
            )
            output, _ = await child.communicate()
            assert expected in output.decode()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        with pytest.raises(OSError, match="No such file or directory"):
            await ask(asked)

    asyncio.run(asyncio.wait_for(steps(), 20))
    assert not path.exists()


class Helper:
    """A helper that serves, and what it is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def ask(self, workload: str, script: str, timeout: int = 5) -> tuple[bool, str]:
        asked = replace(
            probe(0, "exec"), name=workload, command=(SHELL, "-c", script), timeout=timeout
        )
        return await helper_at(self.path)(asked)


def serving(listed: Path, steps: Callable[[Helper], Awaitable[None]]) -> None:
    """Have a helper serve until the coroutine *steps* is done."""
    path = listed.with_suffix(".sock")

    async def live() -> None:
        serving = asyncio.create_task(serve(path, listed, USER, ()))
        while not path.exists():
            await asyncio.sleep(0.01)
        try:
            await steps(Helper(path))
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(live(), 60))


async def seen(argument: str, *, running: bool) -> None:
    """Wait until a process with *argument* runs, or none does."""
    while running != await asyncio.to_thread(there, argument):
        await asyncio.sleep(0.02)


def test_a_command_ends_with_whoever_asked_for_it(listed: Path) -> None:
    async def steps(helper: Helper) -> None:
        asking = asyncio.create_task(helper.ask("web", "sleep 97533 & sleep 97533", 1000))
        await seen("^sleep 97533", running=True)
        asking.cancel()
        await seen("^sleep 97533", running=False)
        assert (True, "next") == await helper.ask("web", "echo next")

    serving(listed, steps)


def test_commands_that_hang_leave_room_for_those_of_other_workloads(listed: Path) -> None:
    """All twenty of one workload take its place, and of twenty workloads half of all places."""

    async def steps(helper: Helper) -> None:
        one = [asyncio.create_task(helper.ask("one", "sleep 97534", 1000)) for _ in range(20)]
        await seen("^sleep 97534", running=True)
        assert (True, "well") == await helper.ask("web", "echo well")
        first = await asyncio.gather(
            *(helper.ask(f"hangs-{number}", "sleep 97534", 1) for number in range(20))
        )
        assert {(False, "no answer within 1 s")} == {*first}
        many = [
            asyncio.create_task(helper.ask(f"hangs-{number}", "sleep 97534", 1000))
            for number in range(20)
        ]
        for number in range(20):
            assert (True, "well") == await helper.ask(f"well-{number}", "echo well")
        for each in (*one, *many):
            each.cancel()
        await seen("^sleep 97534", running=False)

    serving(listed, steps)


def test_the_kernel_kills_it_first_when_memory_runs_out(listed: Path) -> None:
    assert "1000" == ran(listed, "cat /proc/self/oom_score_adj").reason

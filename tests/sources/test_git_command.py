"""The limits that git has."""

import asyncio
from pathlib import Path

import pytest

from groundplane.errors import SourceError
from groundplane.processes.limits import memory_limit
from groundplane.sources.git_command import Git, isolated


def said(directory: Path, script: str) -> list[str]:
    """Return the words that the shell *script*, run by git, prints."""
    git = Git("source", isolated(), directory, 1 << 20, {})
    done = git.run("-c", f"alias.script=!{script}", "script", within=20)
    return asyncio.run(done).decode().split()


def test_git_is_killed_before_the_agent_and_has_a_part_of_the_machine(tmp_path: Path) -> None:
    script = "cat /proc/self/oom_score_adj; ulimit -v; ulimit -S -t; ulimit -H -t"
    assert ["1000", str(memory_limit() >> 10), "120", "125"] == said(tmp_path, script)


def test_what_git_prints_without_end_is_not_kept(tmp_path: Path) -> None:
    assert 32 << 10 == len(said(tmp_path, "yes | head -c 5000000"))


def test_a_git_that_spends_its_time_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="source: git needed over 120 s of CPU time"):
        said(tmp_path, "kill -XCPU $PPID; sleep 5")

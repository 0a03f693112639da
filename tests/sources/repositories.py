"""Repositories to fetch from, with what people commit, and what they should not."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

NAMES = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "T"), ("EMAIL", "t@example.org"), ("DATE", "1700000000 +0000"))
}


class Repository:
    """The bare repository *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"} | NAMES
        self.git("init", "--quiet", "--bare", "--template=", "-b", "main", str(path))

    def git(self, *arguments: str, given: bytes = b"") -> str:
        """Return what git prints; *given* is what it reads."""
        place = () if arguments[0] == "init" else (f"--git-dir={self.path}",)
        return (
            subprocess.run(
                ["git", *place, *arguments],
                env=self.environment,
                input=given,
                check=True,
                capture_output=True,
            )
            .stdout.decode()
            .strip()
        )

    def commit(
        self,
        files: Mapping[str, str | bytes],
        ref: str = "refs/heads/main",
        *,
        links: Mapping[str, str] | None = None,
        modules: Mapping[str, str] | None = None,
        parent: str = "",
    ) -> str:
        """Let *ref* be a commit with *files*, symbolic *links*, and *modules* at commits; return it."""
        stream = f"commit {ref}\ncommitter T <t@example.org> 1700000000 +0000\ndata 0\n".encode()
        stream += f"from {parent}\ndeleteall\n".encode() if parent else b""
        for mode, entries in (("100644", files), ("120000", links or {})):
            for path, text in entries.items():
                content = text.encode() if isinstance(text, str) else text
                stream += (
                    f"M {mode} inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
                )
        for path, commit in (modules or {}).items():
            stream += f"M 160000 {commit} {path}\n".encode()
        self.git("fast-import", "--quiet", "--force", given=stream)
        return self.git("rev-parse", ref)

    def commit_tree(self, tree: str) -> None:
        """Let the main branch be a commit of *tree*."""
        self.git("update-ref", "refs/heads/main", self.git("commit-tree", tree, "-m", "a change"))

    def blob(self, text: str) -> str:
        return self.git("hash-object", "-w", "--stdin", given=text.encode())

    def tree(self, entries: bytes) -> str:
        """Return a tree of *entries* as git stores them, however wrong they are."""
        return self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=entries)

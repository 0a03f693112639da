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
        others: str = "",
        parent: str = "",
    ) -> str:
        """Let *ref* be a commit with *files*, and with *others* as `git update-index` reads them."""
        self.path.joinpath("index").unlink(missing_ok=True)
        entries = "".join(
            f"100644 {self.blob(text)}\t{path}\n" for path, text in sorted(files.items())
        )
        self.git("update-index", "--add", "--index-info", given=(entries + others).encode())
        return self.commit_tree(self.git("write-tree"), ref, parent)

    def commit_tree(self, tree: str, ref: str = "refs/heads/main", parent: str = "") -> str:
        parents = ("-p", parent) if parent else ()
        commit = self.git("commit-tree", tree, *parents, "-m", "a change")
        self.git("update-ref", ref, commit)
        return commit

    def blob(self, text: str | bytes) -> str:
        given = text.encode() if isinstance(text, str) else text
        return self.git("hash-object", "-w", "--stdin", given=given)

    def tree(self, entries: bytes) -> str:
        """Return a tree of *entries* as they are stored, however wrong they are."""
        return self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=entries)

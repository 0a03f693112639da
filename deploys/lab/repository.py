"""The site's repository on the lab's git server, and the clone of it that a person edits."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from groundplane_deploys.catalog import tree_files
from groundplane_deploys.lab.command import attempt, run, say
from groundplane_deploys.lab.git import BRANCH, clone_ssh, clone_url, repository
from groundplane_deploys.lab.model import Lab, LabNode
from groundplane_deploys.lab.network import namespace_path
from groundplane_deploys.lab.ssh import ssh_config

# Users of the lab need not have configured an identity for git.
_NOBODY = {"user.name": "groundplane lab", "user.email": "lab@groundplane.invalid"}
# Rejects what the nodes would reject.
PRE_RECEIVE = f"""\
#!/bin/sh
exec {shlex.quote(str(Path(sys.executable).with_name("groundplane")))} pre-receive --branch {BRANCH}
"""


def ensure_repository(lab: Lab, files: Mapping[str, Path]) -> None:
    """Ensure that the repository and the clone exist; if neither does, fill them with *files*.

    *files* is by relative name. Edits in the clone and commits in the repository are kept.
    """
    bare, clone = repository(lab), lab.clone_dir
    if not bare.is_dir():
        run(["git", "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(bare)])
    hooks = {"pre-receive": PRE_RECEIVE, "post-receive": format_hook(lab)}
    for name in hooks:  # the first push is accepted even with errors
        (bare / "hooks" / name).unlink(missing_ok=True)
    run(["git", f"--git-dir={bare}", "config", "receive.advertisePushOptions", "true"])
    if not _is_clone(lab):
        _make_clone(lab)
        if not _has_commits(bare):
            _copy(files, clone)
            _git(clone, "add", "--all")
            _git(clone, "commit", "--quiet", "--message=The site of the lab")
        else:
            _git(clone, "pull", "--quiet", "origin", BRANCH)
    if not _has_commits(bare):
        _git(clone, "push", "--quiet", "--set-upstream", "origin", BRANCH)
        say(f"the site is in {clone}: edit, commit, push")
    for name, text in hooks.items():
        (bare / "hooks" / name).write_text(text)
        (bare / "hooks" / name).chmod(0o755)


def update_repository(lab: Lab, files: Mapping[str, Path]) -> None:
    """Make *files* (by relative name) the clone's whole catalog, and push the changes."""
    clone = lab.clone_dir
    for path in tree_files(clone):
        path.unlink()
    _copy(files, clone)
    _git(clone, "add", "--all")
    if attempt(["git", "-C", str(clone), "diff", "--cached", "--quiet"]).returncode == 0:
        return
    _git(clone, "commit", "--quiet", "--message=The site as GROUNDPLANE_SOURCE has it")
    _git(clone, "push", "--quiet", "--push-option=accept-warnings", "origin", BRANCH)
    say(f"the site in {clone} is that of GROUNDPLANE_SOURCE now")


def _copy(files: Mapping[str, Path], clone: Path) -> None:
    for name, path in files.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, clone / name)


def remove_clone(lab: Lab) -> None:
    """Remove the clone, but only if it is a clone of this lab's repository."""
    if not _is_clone(lab):
        return
    shutil.rmtree(lab.clone_dir)
    parent = lab.clone_dir.parent
    if not any(parent.iterdir()):
        parent.rmdir()


def format_hook(lab: Lab) -> str:
    """Return the hook that notifies all nodes; a node that misses it polls within seconds.

    A push to the repository's path runs it in the machine's own network, which sees the lab's.
    """
    options = f"-F {ssh_config(lab)} -o ConnectTimeout=2"
    network = namespace_path(lab.prefix)
    return f"""\
#!/bin/sh
[ -e {network} ] && enter="nsenter --net={network}"
for node in {" ".join(node.name for node in _followers(lab))}; do
  $enter ssh -n {options} "$node" groundplane agent poke 2>/dev/null ||
    echo "$node was not told, and looks by itself" &
done
wait
"""


def _followers(lab: Lab) -> tuple[LabNode, ...]:
    """Return the machines with an agent: all except pure hypervisors."""
    return (*(node for node in lab.nodes if node.tree != "hypervisor"), *lab.guests)


def _make_clone(lab: Lab) -> None:
    clone = lab.clone_dir
    clone.mkdir(parents=True, exist_ok=True)
    _git(clone, "init", "--quiet", f"--initial-branch={BRANCH}")
    _git(clone, "config", "core.sshCommand", clone_ssh(lab))
    _git(clone, "remote", "add", "origin", clone_url())
    _git(clone, "config", f"branch.{BRANCH}.remote", "origin")
    _git(clone, "config", f"branch.{BRANCH}.merge", f"refs/heads/{BRANCH}")
    for key, value in _NOBODY.items():
        if attempt(["git", "-C", str(clone), "config", key]).returncode != 0:
            _git(clone, "config", key, value)


def _is_clone(lab: Lab) -> bool:
    if not (lab.clone_dir / ".git").is_dir():
        return False
    found = attempt(["git", "-C", str(lab.clone_dir), "config", "core.sshCommand"])
    return found.stdout.strip() == clone_ssh(lab)


def _has_commits(bare: Path) -> bool:
    shown = attempt(["git", f"--git-dir={bare}", "rev-parse", "--quiet", "--verify", BRANCH])
    return shown.returncode == 0


def _git(clone: Path, *arguments: str) -> None:
    run(["git", "-C", str(clone), *arguments])

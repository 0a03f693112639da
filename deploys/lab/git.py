"""The git server of the lab: an sshd with one repository, in the lab's network.

It runs in its own mount namespace, with a user `git` that does not exist on the machine. Each key
is bound to one command: nodes may read, the lab's user may also write.
"""

import os
import shlex
import shutil
import time
from pathlib import Path

from groundplane_deploys.lab.command import LabError, attempt
from groundplane_deploys.lab.model import GIT, Lab
from groundplane_deploys.lab.namespace import entered
from groundplane_deploys.lab.network import inside
from groundplane_deploys.lab.services import Services
from groundplane_deploys.lab.ssh import (
    answers,
    client_key,
    host_key,
    make_key,
    public,
    ssh_config,
    tail,
)

BRANCH = "main"
_PATH = "/site.git"  # as a client names it

# "slave": unmounting a node's disk on the machine also unmounts it here. An overlay, because a bind
# mount over a file disappears when the machine replaces that file, as adduser(8) does.
_START = """
mount -t overlay -o "lowerdir=$1/etc:/etc" none /etc && mount -t tmpfs none /run &&
mkdir /run/sshd && exec "$2" -D -e -f "$1/sshd_config"
"""
_USERS = """\
root:*:0:0::/nonexistent:/bin/sh
git:*:0:0::/:/bin/sh
sshd:*:65533:65533::/run/sshd:/usr/sbin/nologin
"""


def repository(lab: Lab) -> Path:
    """Return the path of the bare repository on the machine."""
    return lab.git_dir / "site.git"


def node_url(lab: Lab) -> str:
    """Return the source URL for the agents of all nodes."""
    host = lab.gateway_hosts[0]
    return f"git+ssh://git@{f'[{host}]' if ':' in host else host}{_PATH}?ref={BRANCH}"


def clone_url() -> str:
    """Return the URL of the same repository for users of the lab's ssh_config."""
    return f"ssh://{GIT}{_PATH}"


def clone_ssh(lab: Lab) -> str:
    """Return the ssh command that reaches it from the machine's own network (core.sshCommand)."""
    return shlex.join(inside(lab.prefix, ["ssh", "-F", str(ssh_config(lab))]))


def node_trust(lab: Lab) -> dict[str, str]:
    """Return the credential files of nodes: a read-only key, and the server's host key."""
    return {"ssh_key": str(_deploy_key(lab)), "known_hosts": str(lab.git_dir / "known_hosts")}


def start_git_server(lab: Lab, services: Services) -> None:
    """Start sshd in the lab's network."""
    _write_files(lab)
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise LabError("sshd: not found, install openssh-server")
    own = ["unshare", "--mount", "--propagation", "slave"]
    argv = [*own, "sh", "-c", _START, "sh", str(lab.git_dir), program]
    services.start(GIT, inside(lab.prefix, argv), lab.log(GIT))


def wait_for_git_server(lab: Lab, limit: float) -> None:
    """Wait until it answers on every gateway address."""
    deadline = time.monotonic() + limit
    with entered(lab):
        for host in lab.gateway_hosts:
            while not answers(host):
                if time.monotonic() > deadline:
                    log = lab.log(GIT)
                    raise LabError(
                        f"the git server does not answer on {host}; the end of {log}:\n{tail(log)}"
                    )
                time.sleep(0.02)


def serves_git(lab: Lab) -> bool:
    """Return whether the server accepts the lab's key and serves the repository, if any."""
    if not repository(lab).is_dir():
        return True
    asked = ["timeout", "10", "git", "ls-remote", clone_url()]
    return attempt(asked, env={"GIT_SSH_COMMAND": clone_ssh(lab)}).returncode == 0


def format_sshd_config(lab: Lab) -> str:
    """Return sshd's configuration: keys only, one user, no file outside the lab's state."""
    listen = "".join(f"ListenAddress {host}\n" for host in lab.gateway_hosts)
    return f"""\
{listen}HostKey {host_key(lab, GIT)}
AuthorizedKeysFile {lab.git_dir}/authorized_keys
AllowUsers git
PermitRootLogin forced-commands-only
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
AcceptEnv GIT_PROTOCOL
MaxStartups 100
"""


def format_session(lab: Lab) -> str:
    """Return the script that every key is bound to: `session read` or `session write`."""
    return f"""\
#!/bin/sh
export GIT_CONFIG_NOSYSTEM=1
case "$1 $SSH_ORIGINAL_COMMAND" in
"read git-upload-pack '{_PATH}'" | "write git-upload-pack '{_PATH}'")
  exec git-upload-pack {repository(lab)} ;;
"write git-receive-pack '{_PATH}'")
  exec git-receive-pack {repository(lab)} ;;
esac
echo "this key may not do that here" >&2
exit 1
"""


def format_authorized_keys(lab: Lab, writer: str, reader: str) -> str:
    session = lab.git_dir / "session"
    return "".join(
        f'restrict,command="{session} {right}" {key.strip()}\n'
        for right, key in (("write", writer), ("read", reader))
    )


def _write_files(lab: Lab) -> None:
    directory = lab.git_dir
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_key(_deploy_key(lab), f"{lab.prefix} nodes, read only")
    kind, key = public(host_key(lab, GIT)).read_text().split()[:2]
    (directory / "known_hosts").write_text(f"{','.join(lab.gateway_hosts)} {kind} {key}\n")
    (directory / "etc").mkdir(exist_ok=True)
    (directory / "etc/passwd").write_text(_USERS)
    (directory / "sshd_config").write_text(format_sshd_config(lab))
    session = directory / "session"
    session.write_text(format_session(lab))
    session.chmod(0o755)
    writer, reader = (public(each).read_text() for each in (client_key(lab), _deploy_key(lab)))
    (directory / "authorized_keys").write_text(format_authorized_keys(lab, writer, reader))


def _deploy_key(lab: Lab) -> Path:
    return lab.git_dir / "deploy_key"

"""ssh uploads as a user other than root, through a directory private to that user.

pyinfra uploads to /tmp, by a name that anyone can compute and with a mode that everyone can read,
and copies from there as root. Here each host has a new directory for the time of a connection. A
command that waits on that connection removes the directory, so nothing stays when a run is killed.
"""

import posixpath
import shlex
from typing import Any, Final, NamedTuple
from uuid import uuid4

from paramiko.channel import ChannelFile, ChannelStdinFile
from paramiko.client import SSHClient
from pyinfra.connectors.ssh import SSHConnector

_AS_ANOTHER: Final = ("_sudo", "_doas", "_dzdo", "_su_user")
_KEY: Final = "groundplane-uploads"
# mktemp makes what is new, with mode 700, and follows no link. cat ends with the connection.
_HOLD: Final = """\
made=$(mktemp -d {base}/groundplane-XXXXXXXXXX) || exit
trap 'rm -rf "$made"' EXIT
trap 'exit 1' HUP INT TERM
echo "$made"
cat >/dev/null
"""
_put_file: Final = SSHConnector.put_file


class _Held(NamedTuple):
    """A directory, and what keeps it: the files close their channel when they are collected."""

    client: SSHClient
    files: tuple[ChannelStdinFile, ChannelFile, ChannelFile]
    path: str

    def lasts(self, client: SSHClient | None) -> bool:
        return self.client is client and not self.files[1].channel.exit_status_ready()


def keep_uploads_private() -> None:
    """Send all non-root uploads of this process through such a directory."""
    SSHConnector.put_file = _put_privately  # type: ignore[assignment, method-assign]


def _put_privately(
    self: SSHConnector,
    filename_or_io: Any,
    remote_filename: str,
    remote_temp_filename: str | None = None,
    **arguments: Any,
) -> bool:
    if any(arguments.get(each) for each in _AS_ANOTHER):
        place = remote_temp_filename or self.host.get_temp_filename(remote_filename)
        remote_temp_filename = f"{_directory(self, posixpath.dirname(place))}/{uuid4().hex}"
    return _put_file(self, filename_or_io, remote_filename, remote_temp_filename, **arguments)


def _directory(connector: SSHConnector, base: str) -> str:
    """Return the directory below *base* on the host, made by its first upload; OSError."""
    held: _Held | None = connector.host.connector_data.get(_KEY)
    if held is None or not held.lasts(connector.client):
        held = connector.host.connector_data[_KEY] = _hold(connector, base)
    return held.path


def _hold(connector: SSHConnector, base: str) -> _Held:
    client = connector.client
    if client is None:
        raise OSError(f"{connector.host.name}: not connected")
    script = _HOLD.format(base=shlex.quote(base))
    files = client.exec_command(f"exec sh -c {shlex.quote(script)}")
    path = files[1].readline().strip()
    if not path:
        why = files[2].read().decode(errors="replace").strip()
        raise OSError(f"{connector.host.name}: cannot make a directory for uploads: {why}")
    return _Held(client, files, path)

"""Install the agent into its own Python environment, from wheels only, without a network."""

import io
import shlex
import tarfile
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.facts.files import Link

from groundplane_deploys.wheelhouse import Wheelhouse


@operation()
def install(wheelhouse: Wheelhouse, directory: str) -> Generator[FileUploadCommand | StringCommand]:
    """Make *directory*/current link to an environment with exactly the wheels of *wheelhouse*.

    A new environment is created beside the old one; the link changes only when it is complete. The
    previous one stays for rollback; older ones are removed.
    """
    current, wanted = f"{directory}/current", f"{directory}/{wheelhouse.digest}"
    link = host.get_fact(Link, path=current)
    if link and link["link_target"] == wanted:
        host.noop(f"environment {wanted} is in use")
        return
    archive, wheels = f"{directory}/wheels.tar", f"{wanted}.wheels"
    yield StringCommand("mkdir -p", QuoteString(directory))
    yield FileUploadCommand(_archive(wheelhouse), archive)
    yield StringCommand(
        "rm -rf", QuoteString(wanted), QuoteString(wheels), "&& mkdir", QuoteString(wheels),
        "&& tar -x --no-same-owner -f", QuoteString(archive), "-C", QuoteString(wheels),
    )  # fmt: skip
    yield StringCommand("python3 -I -m venv --without-pip", QuoteString(wanted))
    yield StringCommand(
        QuoteString(f"{wanted}/bin/python"), "-I", QuoteString(f"{wheels}/{wheelhouse.pip}/pip"),
        "install --quiet --disable-pip-version-check --root-user-action=ignore",
        "--no-index --require-hashes --only-binary :all: --find-links", QuoteString(wheels),
        "-r", QuoteString(f"{wheels}/requirements.txt"),
    )  # fmt: skip
    yield StringCommand("ln -sfnT", QuoteString(wanted), QuoteString(current))
    yield StringCommand("rm -rf", QuoteString(wheels), QuoteString(archive))
    kept = {wanted, link["link_target"] if link else wanted}
    spared = " ".join(f"! -path {shlex.quote(path)}" for path in sorted(kept))
    yield StringCommand(
        "find", QuoteString(directory), "-mindepth 1 -maxdepth 1 -type d", spared,
        "-exec rm -rf {} +",
    )  # fmt: skip


def _archive(wheelhouse: Wheelhouse) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(wheelhouse.directory.iterdir()):
            archive.add(path, path.name)
    buffer.seek(0)
    return buffer

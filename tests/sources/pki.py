"""Authorities, and what they sign, made with openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signed:
    """A certificate and its key."""

    certificate: Path
    key: Path


def authority(directory: Path, name: str) -> Signed:
    return _made(directory, name, "-subj", f"/CN={name}")


def signed(by: Signed, name: str, *options: str) -> Signed:
    """Return a certificate for *name*, which is the host 127.0.0.1 too unless *options* say else."""
    names = options or ("-addext", "subjectAltName=IP:127.0.0.1")
    issuer = ("-CA", str(by.certificate), "-CAkey", str(by.key))
    return _made(by.key.parent, name, "-subj", f"/CN={name}", *issuer, *names)


def _made(directory: Path, name: str, *options: str) -> Signed:
    made = Signed(directory / f"{name}.pem", directory / f"{name}.key")
    new = ["openssl", "req", "-x509", "-nodes", "-days", "2"]
    new += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-out", str(made.certificate), "-keyout", str(made.key)]
    subprocess.run([*new, *files, *options], check=True, capture_output=True)
    return made

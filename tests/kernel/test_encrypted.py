"""Forwarders that are asked over TLS (RFC 7858), by the first BIND that can: Debian 13's.

The forwarder is the installed BIND, which can answer so.
"""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from groundplane.dataplanes.dns import server_config, zone_file, zones_of
from groundplane_deploys.debian.apt import choose_mirror, read_machine_sources
from groundplane_deploys.lab import Lab
from groundplane_deploys.locks import lock_file
from tests.kernel.named import KEY, PORT, SECRET
from tests.kernel.spaces import based, namespace
from tests.kernel.world import ip, within
from tests.sources.pki import Signed, authority, signed

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

T = TypeVar("T")
FORWARDER, NAME, OUTSIDE, ADDRESS = "127.0.0.53", "dns.example", "db.example.org.", "192.0.2.80"
ZONE = f"$TTL 60\n@ SOA a. b. 1 1 1 1 1\n@ NS a.\ndb A {ADDRESS}\n"
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def tree() -> Path:
    """Return a Debian 13 with BIND, which is kept beside the lab's base tree."""
    cache = Lab().cache
    cache.mkdir(parents=True, exist_ok=True)
    with lock_file(cache / "trixie.lock", "another build of a Debian 13"):
        made, building = cache / "trixie-bind9", cache / "trixie-bind9.building"
        if not made.is_dir():
            mirror = choose_mirror(read_machine_sources(), "bookworm")
            subprocess.run(["rm", "-rf", str(building)], check=True)
            command = ["debootstrap", "--variant=minbase", "--force-check-gpg"]
            command += ["--include=bind9,ca-certificates", "trixie", str(building), mirror]
            done = subprocess.run(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *command],
                text=True,
                capture_output=True,
            )
            if done.returncode:
                pytest.skip(f"no Debian 13 can be had here: {done.stdout[-200:]}")
            building.rename(made)
    return made


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return authority(tmp_path_factory.mktemp("ca"), "ca")


@contextmanager
def running(netns: str, *command: str) -> Iterator[None]:
    process = subprocess.Popen(
        ["ip", "netns", "exec", netns, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def forwarder(directory: Path, certificate: Signed) -> str:
    """Return the configuration of a server that answers over TLS alone."""
    (directory / "db.example.org").write_text(ZONE)
    config = directory / "forwarder.conf"
    config.write_text(f"""\
controls {{ }};
tls own {{ cert-file "{certificate.certificate}"; key-file "{certificate.key}"; }};
options {{
  directory "{directory}"; pid-file none; session-keyfile none; dnssec-validation no;
  listen-on port 853 tls own {{ {FORWARDER}; }}; listen-on-v6 {{ none; }};
  recursion no; allow-query {{ any; }};
}};
zone "example.org" {{ type primary; file "db.example.org"; }};
""")
    return str(config)


def own(directory: Path, name: str) -> str:
    """Return a script that runs the node's server in a tree: *directory* is its /mnt there."""
    base = based(forwarders=(FORWARDER,), tls_server_name=name)
    for zone in zones_of(base):
        (directory / f"{zone}.zone").write_text(zone_file(zone, []))
    (directory / "key").write_text(KEY % SECRET)
    config = server_config(
        base, directory="/mnt", journals="/mnt", cache="/mnt", key_file="/mnt/key", port=PORT
    )
    private = "options {\n  pid-file none; session-keyfile none;"
    (directory / "named.conf").write_text(
        "controls { };\n" + config.replace("options {", private, 1)
    )
    return "chroot $TREE named -g -n 1 -c /mnt/named.conf"


@pytest.mark.parametrize(
    ("told", "trusted", "expected"),
    [(NAME, True, dns.rcode.NOERROR), ("other.example", True, dns.rcode.SERVFAIL),
     (NAME, False, dns.rcode.SERVFAIL)],
    ids=["its name", "another name", "nobody vouches for it"],
)  # fmt: skip
def test_a_forwarder_is_believed_by_its_certificate_alone(
    tmp_path: Path, tree: Path, ca: Signed, told: str, trusted: bool, expected: dns.rcode.Rcode
) -> None:
    with namespace("tls") as netns, ExitStack() as stack:
        ip(f"-n {netns} address add {FORWARDER}/8 dev lo")
        certificate = signed(ca, NAME, "-addext", f"subjectAltName=DNS:{NAME}")
        stack.enter_context(running(netns, "named", "-g", "-c", forwarder(tmp_path, certificate)))
        until(partial(within, netns, partial(socket.create_connection, (FORWARDER, 853), 1)))
        authorities = ca.certificate if trusted else authority(tmp_path, "others").certificate
        mounts = (
            f"mount --bind {tmp_path} $TREE/mnt; mount --bind {authorities} $TREE/{AUTHORITIES}"
        )
        script = f"set -e; TREE={tree}; {mounts}; exec {own(tmp_path, told)}"
        stack.enter_context(running(netns, "unshare", "--mount", "sh", "-c", script))
        answer = asked(netns)
        assert expected == answer.rcode()
        assert ([ADDRESS] if expected == dns.rcode.NOERROR else []) == [
            rdata.to_text() for rrset in answer.answer for rdata in rrset
        ]


def asked(netns: str) -> dns.message.Message:
    """Return the answer to a question about a name outside, once the server runs."""
    query = dns.message.make_query(OUTSIDE, "A")
    ask = partial(dns.query.udp, query, "127.0.0.1", port=PORT, timeout=5)
    return until(partial(within, netns, ask))


def until(function: Callable[[], T]) -> T:
    """Return what *function* does, once it can."""
    for _ in range(200):
        with suppress(OSError, dns.exception.DNSException):
            return function()
        time.sleep(0.05)
    raise AssertionError("a server does not answer")

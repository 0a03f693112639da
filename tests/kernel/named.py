"""A real BIND 9 in a network namespace, and the servers that it asks for what is not its own."""

import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import dns.rrset
import dns.tsig
import msgspec

from groundplane.dataplanes.dns import Bind, local_files, server_config, zone_file, zones_of
from groundplane.dataplanes.dns.config import rebuild_script
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.project.state import NodeBase, NodeState
from tests.kernel.world import within
from tests.states import BASE

PORT: Final = 5300
KEY: Final = 'key "groundplane" { algorithm hmac-sha256; secret "%s"; };\n'
SECRET, OTHER = "c2VjcmV0IG9mIGEgdGVzdA==", "YW5vdGhlciBzZWNyZXQ="
FORWARDER, OUTSIDE = "127.0.0.53", "db.example.org."
KNOWN: Final = {OUTSIDE: "192.0.2.80"}


class Resolver:
    """A name server of others in a namespace: it knows addresses of names, and what it was asked.

    A name with several addresses has them with spaces between. What is too long for a datagram is
    to be had over TCP.
    """

    def __init__(
        self,
        netns: str,
        address: str = FORWARDER,
        known: Mapping[str, str] = {OUTSIDE: "192.0.2.80"},
    ) -> None:
        self._address, self._known = address, known
        self.asked: list[str] = []
        self._socket = within(netns, partial(self._listen, socket.SOCK_DGRAM))
        self._listening = within(netns, partial(self._listen, socket.SOCK_STREAM))
        self._threads = [
            threading.Thread(target=each, daemon=True) for each in (self._serve, self._serve_tcp)
        ]
        for thread in self._threads:
            thread.start()

    def _listen(self, kind: socket.SocketKind) -> socket.socket:
        opened = socket.socket(socket.AF_INET, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((self._address, 53))
        if kind == socket.SOCK_STREAM:
            opened.listen()
        return opened

    def _serve(self) -> None:
        while True:
            wire, peer = self._socket.recvfrom(4096)
            if not wire:
                return
            answer = self._answer(wire)
            try:
                self._socket.sendto(answer.to_wire(max_size=1232), peer)
            except dns.exception.TooBig:
                answer.answer.clear()
                answer.flags |= dns.flags.TC
                self._socket.sendto(answer.to_wire(), peer)

    def _serve_tcp(self) -> None:
        with suppress(OSError):  # it was shut down
            while True:
                connection, _ = self._listening.accept()
                with connection, connection.makefile("rwb") as stream:
                    while header := stream.read(2):
                        question = stream.read(int.from_bytes(header, "big"))
                        answer = self._answer(question).to_wire(max_size=65535)
                        stream.write(len(answer).to_bytes(2, "big") + answer)
                        stream.flush()

    def _answer(self, wire: bytes) -> dns.message.Message:
        query = dns.message.from_wire(wire)
        answer = dns.message.make_response(query, recursion_available=True)
        name, type_ = query.question[0].name, query.question[0].rdtype
        self.asked.append(name.to_text().lower())
        addresses = self._known.get(name.to_text().lower(), "").split()
        if addresses and type_ == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", *addresses))
        return answer

    def close(self) -> None:
        self._socket.sendto(b"", (self._address, 53))
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()
        self._listening.close()


class Server:
    """named in a namespace, its files below *directory*."""

    def __init__(
        self,
        netns: str,
        directory: Path,
        base: NodeBase = BASE,
        *,
        port: int = PORT,
        forwarders: tuple[str, ...] = (FORWARDER,),
    ) -> None:
        self.netns, self.directory, self.base, self.port = netns, directory, base, port
        self.forwarders = forwarders
        self.journals = directory / "journals"
        self.key, self.request = directory / "groundplane.key", directory / "request"
        self.key.write_text(KEY % SECRET)
        for zone in zones_of(base):
            (directory / f"{zone}.zone").write_text(zone_file(zone, []))
        self.config = directory / "named.conf"
        self.configure(base)
        self.process = self.start()

    def configure(self, base: NodeBase) -> None:
        """Write the configuration for *base*, whose zones are those that it was made for."""
        cache = self.directory / "cache"
        cache.mkdir(exist_ok=True)
        self.journals.mkdir(exist_ok=True)
        asking = msgspec.structs.replace(base, forwarders=self.forwarders)
        for zone, text in local_files(asking).items():
            (self.directory / f"{zone}.zone").write_text(text)
        config = server_config(
            asking,
            directory=str(self.directory),
            local=str(self.directory),
            journals=str(self.journals),
            cache=str(cache),
            key_file=str(self.key),
            port=self.port,
        )
        private = "options {\n  pid-file none; session-keyfile none;"
        controls = 'controls { inet 127.0.0.1 allow { 127.0.0.1; } keys { "groundplane"; }; };\n'
        self.config.write_text(controls + config.replace("options {", private, 1))
        script = rebuild_script(
            base,
            directory=str(self.directory),
            journals=str(self.journals),
            request=str(self.request),
            user="root",
            rndc=f"rndc -k {self.key}",
        )
        (self.directory / "rebuild").write_text(script)
        subprocess.run(["named-checkconf", "-z", str(self.config)], check=True, capture_output=True)

    def start(self) -> subprocess.Popen[bytes]:
        named = ["named", "-g", "-n", "1", "-c", str(self.config)]
        command = ["ip", "netns", "exec", self.netns, *named]
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        query = dns.message.make_query(self.base.domain, "SOA")
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(OSError, dns.exception.DNSException):
                self.send(query, timeout=0.1)
                return process
            assert process.poll() is None, "named ended"
        process.kill()
        raise AssertionError("named does not answer")

    def rebuild(self, *options: str) -> str:
        """Rebuild what is not loaded, as systemd does; return what is told of it."""
        command = ["ip", "netns", "exec", self.netns, "sh", str(self.directory / "rebuild")]
        done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
        return done.stderr

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def tsig(self) -> dns.tsig.Key:
        return dns.tsig.Key("groundplane", SECRET)

    def plane(self, key: Path | None = None, serials: Path | None = None) -> Bind:
        return Bind(key or self.key, serials, rebuild=self.request, port=self.port)

    def apply(self, wanted: NodeState, serials: Path | None = None) -> int:
        """Return how many records a freshly started dataplane changes."""
        plane = self.plane(serials=serials)
        return len(within(self.netns, partial(Reconciler(plane).apply, wanted)))

    def ask(self, name: str, type_: str) -> dns.message.Message:
        return self.send(dns.message.make_query(name, type_))

    def send(
        self, query: dns.message.Message, *, tcp: bool = False, timeout: float = 5
    ) -> dns.message.Message:
        send = dns.query.tcp if tcp else dns.query.udp
        ask = partial(send, query, "127.0.0.1", port=self.port, timeout=timeout)
        return within(self.netns, ask)

    def serials(self) -> dict[str, int]:
        return {
            zone: int(self.ask(zone, "SOA").answer[0][0].to_text().split()[2])
            for zone in zones_of(self.base)
        }


def answered(server: Server, name: str, type_: str = "A") -> list[str]:
    """Return the answer's records as `name type data`, in order."""
    found = server.ask(name, type_).answer
    return [
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}"
        for rrset in found
        for rdata in rrset
    ]

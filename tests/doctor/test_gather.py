"""What ip, nft and /proc print, read as facts. No kernel is asked but for what this machine has."""

import importlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from groundplane.doctor import AddressFact, Listener, RouteFact, gather
from groundplane.doctor.gather import addresses, parse_routes, parse_sockets
from groundplane.errors import KernelRefused
from groundplane.kernel.tables import Table

_module = importlib.import_module("groundplane.doctor.gather")  # its name is its function's too

LINKS: list[dict[str, Any]] = [
    {
        "ifname": "lo",
        "flags": ["LOOPBACK", "UP"],
        "addr_info": [
            {"family": "inet", "local": "127.0.0.1", "prefixlen": 8},
            {},  # what a filter leaves out (iproute2 6.1)
            {"family": "inet6", "local": "::1", "prefixlen": 128},
        ],
    },
    {"ifname": "groundplane0", "flags": ["BROADCAST"], "addr_info": []},
    {"ifname": "gpw0123456789a", "flags": ["UP"]},
]
ROUTES = [
    {"dst": "default", "gateway": "192.0.2.254", "dev": "uplink", "flags": []},
    {"dst": "10.96.0.0/24", "dev": "groundplane0", "protocol": "71", "flags": []},
    {"dst": "10.244.1.7", "dev": "eth1", "protocol": "2"},
    {"type": "2", "dst": "127.0.0.1", "dev": "lo", "table": "255", "protocol": "2"},
    {"type": "6", "dst": "10.0.0.0/8", "protocol": "3"},
    {"dst": "10.9.0.0/16", "dev": "eth1", "table": "100"},
]
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1144 1
   1: 0100007F:7580 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1145 1
   2: 010200C0:D431 020200C0:0016 01 00000000:00000000 00:00000000 00000000     0        0 1146 1
"""
UDP6 = """\
  sl  local_address                         remote_address                        st tx_queue
   0: B80D0120000000000000000001000000:7580 00000000000000000000000000000000:0000 07 0:0 0:0 0 0
   1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 0:0 0:0 0 0
   2: 00000000000000000000000001000000:0035 00000000000000000000000001000000:0036 01 0:0 0:0 0 0
"""


def test_addresses() -> None:
    assert [AddressFact("lo", "127.0.0.1", 8), AddressFact("lo", "::1", 128)] == [*addresses(LINKS)]


def test_routes_of_the_main_and_the_local_table() -> None:
    assert [
        RouteFact("0.0.0.0/0", "uplink", "192.0.2.254", 3),
        RouteFact("10.96.0.0/24", "groundplane0", "", 71),
        RouteFact("10.244.1.7/32", "eth1", "", 2),
        RouteFact("127.0.0.1/32", "lo", "", 2, "local"),
        RouteFact("10.0.0.0/8", "", "", 3, "blackhole"),
    ] == [*parse_routes(json.dumps(ROUTES), "0.0.0.0/0")]


def test_routes_of_ipv6() -> None:
    listed = [{"dst": "default", "dev": "uplink", "protocol": "9"}, {"dst": "fd00::1", "dev": "lo"}]
    assert [RouteFact("::/0", "uplink", "", 9), RouteFact("fd00::1/128", "lo", "", 3)] == [
        *parse_routes(json.dumps(listed), "::/0")
    ]
    assert [] == [*parse_routes("", "::/0")]


def test_sockets_that_listen() -> None:
    """The addresses are as a little-endian machine prints them."""
    assert [Listener("TCP", "0.0.0.0", 22), Listener("TCP", "127.0.0.1", 30080)] == [
        *parse_sockets(TCP, "TCP")
    ]
    assert [Listener("UDP", "2001:db8::1", 30080), Listener("UDP", "::", 53)] == [
        *parse_sockets(UDP6, "UDP")
    ]


# ------------------------------------------------------------------------------------------------


class Programs:
    """Stands for ip and nft: what each command line prints, or how it fails."""

    def __init__(self, printed: dict[str, Any]) -> None:
        self.printed = printed
        self.tables = [Table("inet", "groundplane"), Table("inet", "filter")]
        self.ran: list[str] = []

    def __call__(self, command: tuple[str, ...], **_: object) -> Any:
        line = " ".join(command)
        self.ran.append(line)
        answer = self.printed.get(line, "")
        if isinstance(answer, signal.Signals):
            return subprocess.CompletedProcess(command, -answer, "", "")
        if isinstance(answer, OSError):
            return subprocess.CompletedProcess(command, 1, "", f"{answer.strerror}\nmore")
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return subprocess.CompletedProcess(command, 0, text, "")


def nftables(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"nftables": [{"metainfo": {"version": "1.0.6"}}, *objects]}


def named(what: str, table: str, name: str, **more: Any) -> dict[str, Any]:
    return {what: {"family": "inet", "table": table, "name": name, **more}}


OURS = [{"table": {"family": "inet", "name": "groundplane"}}, named("set", "groundplane", "nodes")]
THEIRS = [{"table": {"family": "inet", "name": "filter"}}, named("chain", "filter", "forward")]
TERSE, FULL = named("set", "filter", "lan"), named("set", "filter", "lan", elem=["10.0.0.1"])


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    stand_in = Programs({"ip -j address show": LINKS})
    monkeypatch.setattr(_module.subprocess, "run", stand_in)
    monkeypatch.setattr(_module.shutil, "which", lambda name: f"/sbin/{name}")
    monkeypatch.setattr(_module, "list_tables", lambda: stand_in.tables)
    return stand_in


def test_workloads_own_links_are_left_out(programs: Programs) -> None:
    assert {"lo": True, "groundplane0": False} == gather().interfaces


def test_elements_are_read_of_tables_of_others_alone(programs: Programs) -> None:
    """Ours may have a hundred thousand."""
    programs.printed["nft -j -t list table inet groundplane"] = nftables(*OURS)
    programs.printed["nft -j -t list table inet filter"] = nftables(*THEIRS, TERSE)
    programs.printed["nft -j list table inet filter"] = nftables(*THEIRS, FULL)
    found = gather()
    assert [*OURS, *THEIRS, FULL] == [*(found.ruleset or ())]
    ours = [line for line in programs.ran if "groundplane" in line]
    assert ["nft -j -t list table inet groundplane"] == ours


def test_a_table_that_kills_nft_is_named_and_the_others_are_read(programs: Programs) -> None:
    programs.printed["nft -j -t list table inet groundplane"] = nftables(*OURS)
    programs.printed["nft -j -t list table inet filter"] = signal.SIGSEGV
    found = gather()
    assert [*OURS] == [*(found.ruleset or ())]
    assert ("nft is killed by SIGSEGV when it reads table inet filter",) == found.unreadable


def test_matches_of_iptables_are_read_from_the_text(programs: Programs) -> None:
    expressions = [{"xt": {"type": "match", "name": "conntrack"}}, {"accept": None}]
    place = {"family": "inet", "table": "filter", "chain": "FORWARD", "handle": 7}
    rule = {"rule": {**place, "expr": expressions}}
    programs.printed["nft -j -t list table inet filter"] = nftables(*THEIRS, rule)
    programs.printed["nft -a list table inet filter"] = "\tct status dnat accept # handle 7\n"
    *_, read = gather().ruleset or ()
    status = {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}
    assert [{"match": status}, {"accept": None}] == read["rule"]["expr"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            OSError(1, "Operation not permitted (you must be root)"),
            "nft: Operation not permitted (you must be root)",
        ),
        ("json: unsupported", "nft prints no JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_a_ruleset_that_cannot_be_read_is_reported(
    programs: Programs, answer: object, reason: str
) -> None:
    for table in programs.tables:
        programs.printed[f"nft -j -t list table {table}"] = answer
    found = gather()
    assert (None, (reason,)) == (found.ruleset, found.unreadable)


def test_that_nft_is_missing_is_reported(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _module.subprocess.run

    def without_nft(command: tuple[str, ...], **more: Any) -> Any:
        if command[0] == "nft":
            raise FileNotFoundError
        return run(command, **more)

    monkeypatch.setattr(_module.subprocess, "run", without_nft)
    assert ("nft is not installed",) == gather().unreadable


def test_without_ip_nothing_can_be_told(programs: Programs) -> None:
    programs.printed["ip -j address show"] = OSError(1, "Cannot open netlink socket")
    with pytest.raises(KernelRefused, match=r"^ip: Cannot open netlink socket$"):
        gather()


def test_proc_is_read(programs: Programs, tmp_path: Path) -> None:
    settings, sockets = tmp_path / "sys", tmp_path / "net"
    for path, text in {
        settings / "net/ipv4/ip_forward": "1\n",
        settings / "net/ipv4/conf/groundplane0/rp_filter": "2\n",
        settings / "net/ipv4/conf/gpw0123456789a/rp_filter": "1\n",
        sockets / "tcp": TCP,
        sockets / "ip_tables_names": "filter\nnat\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = gather(settings, sockets)
    assert {
        "net/ipv4/ip_forward": "1",
        "net/ipv4/conf/groundplane0/rp_filter": "2",
    } == found.sysctls
    assert 2 == len(found.listeners)
    assert ("filter", "nat") == found.legacy_tables

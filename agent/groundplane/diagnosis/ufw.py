"""Rules in the files of ufw, which come before the rules it generates itself. Pure."""

from typing import Final, Literal

FILES: Final[dict[Literal["ip", "ip6"], str]] = {
    "ip": "/etc/ufw/before.rules",
    "ip6": "/etc/ufw/before6.rules",
}


def rule(family: Literal["ip", "ip6"], hook: Literal["input", "forward"], match: str) -> str:
    """Return the line that accepts at *hook* what the iptables match *match* covers."""
    prefix = "ufw" if family == "ip" else "ufw6"
    return f"-A {prefix}-before-{hook} {match} -j ACCEPT"


def insertion(family: Literal["ip", "ip6"], line: str) -> str:
    """Return the command that puts *line* in front of the other rules of its file."""
    return f"sed -i '/^# End required lines/a {line}' {FILES[family]}"


def removal(family: Literal["ip", "ip6"], line: str) -> str:
    return f"sed -i '\\|^{line}$|d' {FILES[family]}"


def query(family: Literal["ip", "ip6"], line: str) -> str:
    """Return the command that succeeds where *line* is in its file."""
    return f"grep -qxF -e '{line}' {FILES[family]}"

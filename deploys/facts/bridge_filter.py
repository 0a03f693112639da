"""Fact: whether a host's packet filter drops frames between ports of its bridges."""

import re
from collections.abc import Iterable
from typing import Final

from pyinfra.api import FactBase

_ACCEPTED: Final = re.compile(
    r"-A (DOCKER-USER|FORWARD) -m physdev --physdev-is-bridged -j ACCEPT$"
)


class DroppedFrames(FactBase[tuple[str, ...]]):
    """The programs (iptables, ip6tables) whose FORWARD chain drops bridged frames.

    br_netfilter passes these frames to the chain. Docker turns it on, and sets the policy to drop.
    """

    default = tuple

    def command(self) -> str:
        return (
            "for program in iptables ip6tables; do"
            " call=/proc/sys/net/bridge/bridge-nf-call-$program;"
            ' test "$(cat $call 2>/dev/null)" = 1 || continue;'
            " command -v $program-save >/dev/null || continue;"
            " echo program $program; $program-save -t filter 2>/dev/null; done; true"
        )

    def process(self, output: Iterable[str]) -> tuple[str, ...]:
        dropping: list[str] = []
        program = ""
        for line in output:
            if line.startswith("program "):
                program = line.removeprefix("program ")
            elif line.startswith(":FORWARD DROP"):
                dropping.append(program)
            elif _ACCEPTED.match(line.strip()) and program in dropping:
                dropping.remove(program)
        return tuple(dropping)

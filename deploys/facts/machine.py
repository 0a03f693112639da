"""Facts about a machine: its time services, writable kernel settings, and links."""

from collections.abc import Iterable

from pyinfra.api import FactBase, QuoteString, StringCommand

from groundplane.deploy_api import BRIDGE, TUNNELS

_TIME_SERVICES = ("chrony", "chronyd", "ntpsec", "ntp", "ntpd", "openntpd", "systemd-timesyncd")


class TimeServices(FactBase[list[str]]):
    """The existing units that set the host's clock; hypervisors may also set it."""

    default = list

    def command(self) -> str:
        units = " ".join(f"{name}.service" for name in _TIME_SERVICES)
        return f"systemctl list-unit-files --no-legend --plain {units} || true"

    def process(self, output: Iterable[str]) -> list[str]:
        return [line.split(".service")[0] for line in output if ".service" in line]


class LearnsRoutes(FactBase[list[str]]):
    """The links with one of *addresses* whose default route the kernel learns (accept_ra).

    With forwarding on, the kernel stops learning unless accept_ra is 2 (ip-sysctl: accept_ra).
    """

    default = list

    def command(self, addresses: tuple[str, ...]) -> StringCommand:
        shows = [
            StringCommand("ip -o address show to", QuoteString(address), ";")
            for address in addresses
        ]
        return StringCommand(
            "{", *shows, "} | awk '{print $2}' | sort -u | while read link; do",
            'value=$(cat "/proc/sys/net/ipv6/conf/$link/accept_ra" 2>/dev/null);',
            'case "$value" in 1|2) echo "$link";; esac; done',
        )  # fmt: skip

    def process(self, output: Iterable[str]) -> list[str]:
        return [line.strip() for line in output if line.strip()]


class SettableNumber(FactBase[int | None]):
    """The number in the file *path* of /proc/sys; None if it is missing or not writable."""

    def command(self, path: str) -> StringCommand:
        quoted = QuoteString(f"/proc/sys/{path}")
        return StringCommand("if test -w", quoted, "; then cat", quoted, "; fi")

    def process(self, output: Iterable[str]) -> int | None:
        return next((int(line) for line in output if line.strip()), None)


class WireGuardKey(FactBase[str]):
    """The public key of the private key in the file *path*, or "" if there is none (wg(8))."""

    default = str

    def command(self, path: str) -> StringCommand:
        quoted = QuoteString(path)
        return StringCommand("if test -s", quoted, "; then wg pubkey <", quoted, "; fi")

    def process(self, output: Iterable[str]) -> str:
        return next((line.strip() for line in output), "")


class NetnsUnits(FactBase[list[str]]):
    """The units of workloads' networks that are running or enabled."""

    default = list

    def command(self) -> str:
        pattern = "'groundplane-netns@*.service'"
        return (
            f"{{ systemctl list-units --all --plain --no-legend {pattern};"
            f" systemctl list-unit-files --plain --no-legend {pattern}; }} 2>/dev/null || true"
        )

    def process(self, output: Iterable[str]) -> list[str]:
        units = {line.split()[0] for line in output if line.strip()}
        return sorted(unit for unit in units if "@." not in unit)


class TunnelAddresses(FactBase[dict[str, list[str]]]):
    """The addresses of the tunnel endpoints in each named network namespace.

    The command lists all links: the kernel creates these when one is requested by name.
    """

    default = dict

    def command(self) -> str:
        show = 'ip -n "${each##*/}" -br address show scope global 2>/dev/null'
        return (
            'for each in /run/netns/*; do [ -e "$each" ] || continue; echo "${each##*/}";'
            f" {show}; done; true"
        )

    def process(self, output: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in output:
            name, *rest = line.split()
            if not rest:
                addresses = found.setdefault(name, [])
            elif name.partition("@")[0] in TUNNELS.values():
                addresses += [each.partition("/")[0] for each in rest[1:]]
        return found


class BridgeEntries(FactBase[set[tuple[str, str]]]):
    """Static entries of the workload bridge: hardware address and port."""

    default = set

    def command(self) -> str:
        return f"bridge fdb show br {BRIDGE} 2>/dev/null || true"

    def process(self, output: Iterable[str]) -> set[tuple[str, str]]:
        lines = [line.split() for line in output]
        return {(words[0], words[2]) for words in lines if words[-1:] == ["static"]}


class LinkNames(FactBase[list[str]]):
    """The names of the host's links."""

    default = list

    def command(self) -> str:
        return "ls /sys/class/net"

    def process(self, output: Iterable[str]) -> list[str]:
        return [name for line in output for name in line.split()]


class NetworkFiles(FactBase[list[str]]):
    """The .network files of the host's owner and of netplan, and those that networkd uses for links.

    A symlink to /dev/null masks another file and is left out.
    """

    default = list

    def command(self) -> str:
        directories = (
            "/etc/systemd/network",
            "/run/systemd/network",
            "/usr/local/lib/systemd/network",
        )
        patterns = " ".join(f"{directory}/*.network" for directory in directories)
        return (
            f'for file in {patterns}; do test -s "$file" && echo "$file"; done;'
            " cat /run/systemd/netif/links/* 2>/dev/null | sed -n s/^NETWORK_FILE=//p"
        )

    def process(self, output: Iterable[str]) -> list[str]:
        return sorted({line.strip() for line in output if line.strip()})


class LinkAddresses(FactBase[dict[str, list[str]]]):
    """The global addresses of each link that has some, with prefix lengths."""

    default = dict

    def command(self) -> str:
        return "ip -o address show scope global"

    def process(self, output: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in output:
            _, link, _, address, *_ = line.split()
            found.setdefault(link, []).append(address)
        return found


class Routes(FactBase[dict[str, str]]):
    """The next hop of each route with *protocol*, by destination (ip-route(8): proto)."""

    default = dict

    def command(self, protocol: int) -> str:
        return f"ip -4 route show proto {protocol}; ip -6 route show proto {protocol}"

    def process(self, output: Iterable[str]) -> dict[str, str]:
        rows = (line.split() for line in output)
        return {row[0]: row[2] for row in rows if row[1:2] == ["via"]}


class BootIdentity(FactBase[str]):
    """Identity of a boot: the kernel's boot ID, and the start time of its first process."""

    default = str

    def command(self) -> str:
        return "cat /proc/sys/kernel/random/boot_id && cut -d ' ' -f 22 /proc/1/stat"

    def process(self, output: Iterable[str]) -> str:
        return " ".join(line.strip() for line in output)

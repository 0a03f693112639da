"""Virtual servers and destinations in the format that ipvsadm(8) saves and restores."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from groundplane.proxies.ipvs.objects import (
    PERSISTENT,
    Scheduling,
    ServerKey,
    Value,
    flag_names,
    is_destination,
    method_of,
    server_of,
    target_of,
    weight_of,
    width_of,
)

_PROTOCOLS: Final = {6: "-t", 17: "-u", 132: "--sctp-service"}
_WAYS: Final = {0: ("-m", ""), 2: ("-i", " --tun-type ipip"), 3: ("-g", "")}  # by METHODS


def rule(key: ServerKey, value: Value) -> str:
    """Return the line of one object for `ipvsadm --restore`."""
    if isinstance(value, Scheduling):
        return f"-A {_service(key)} -s {value.scheduler}{_options(value)}"
    way, more = _WAYS[method_of(value)]
    return f"-a {_service(key)} -r {_place(*target_of(key))} {way} -w {weight_of(value)}{more}"


def rules(objects: Mapping[ServerKey, Value]) -> str:
    """Return ipvs.rules: every server, in the order of the keys, followed by its destinations."""
    return "".join(f"{rule(key, objects[key])}\n" for key in _ordered(objects))


def _ordered(keys: Iterable[ServerKey]) -> Iterator[ServerKey]:
    return iter(sorted(keys, key=lambda key: (key[: width_of(key)], is_destination(key), key)))


def _service(key: ServerKey) -> str:
    server = server_of(key)
    if server.mark:
        return f"-f {server.mark}{' -6' if server.family == 6 else ''}"
    return f"{_PROTOCOLS[server.protocol]} {_place(server.address, server.port)}"


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ip_address(address).version == 6 else f"{address}:{port}"


def _options(value: Scheduling) -> str:
    names = flag_names(value)
    text = f" -p {value.timeout}" if value.flags & PERSISTENT else ""
    return text + (f" -b {','.join(names)}" if names else "")

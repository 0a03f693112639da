"""How ssh reaches a machine: values that ssh, known_hosts and an inventory treat as plain data.

The values reach command lines of ssh, the text of known_hosts, the users of VMs, and the inventory
of Ansible, which evaluates text in braces. So no value may contain a character that has a special
meaning in any of these.
"""

import re
from typing import Final

from groundplane.check.public_keys import public_key_fault
from groundplane.documents.machine import Management
from groundplane.errors import FieldFaults
from groundplane.net import address, names

# No capitals: sudo takes such a name for a group of users, and ALL for every user.
_USER: Final = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
# Quotes end an option's value, ssh expands % and $, and Ansible evaluates braces.
_SPECIAL: Final = frozenset("\"'`\\$%{}")


def management_faults(management: Management) -> FieldFaults:
    """Yield the errors in a document's spec.management, by its fields."""
    if management.host is not None and (fault := host_fault(management.host)):
        yield "host", fault
    if fault := names.port_number(management.port):
        yield "port", fault
    if fault := user_fault(management.user):
        yield "user", fault
    if management.key_file is not None and (fault := key_file_fault(management.key_file)):
        yield "keyFile", fault
    for index, key in enumerate(management.host_keys):
        if fault := public_key_fault(key):
            yield f"hostKeys[{index}]", fault


def host_fault(text: str) -> str | None:
    """Return why *text* is neither an IP address nor a host name, or None if it is one."""
    if names.domain(text.lower()) is None:
        return None
    try:
        address.pack(text)
    except ValueError:
        return f'invalid host "{text}"; use an IP address or a host name of DNS labels'
    return None


def user_fault(text: str) -> str | None:
    """Return why *text* is not the name of a Linux user (useradd(8)), or None if it is one."""
    if _USER.fullmatch(text):
        return None
    form = 'at most 32 lower-case letters, digits, "_", "-" and ".", with a letter or "_" first'
    return f'invalid user name "{text}"; use {form}'


def key_file_fault(text: str) -> str | None:
    """Return why *text* is not the path of a private key, or None if it is one."""
    if not text or text.startswith("-"):
        return f'invalid path "{text}"; a path is not empty and does not begin with "-"'
    if not text.isprintable() or not _SPECIAL.isdisjoint(text):
        without = "control characters, quotes, braces, backslashes, $ and %"
        return f'invalid path "{text}"; use a path without {without}'
    return None

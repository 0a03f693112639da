"""`groundplane inventory`: the machines of a catalog for deploy tools."""

from pathlib import Path

import click

from groundplane.cli.arguments import bounded, source_argument
from groundplane.cli.output import print_json, print_table
from groundplane.compile.pipeline import read_catalog
from groundplane.errors import GroundplaneError
from groundplane.hint import did_you_mean
from groundplane.inventory import ansible, ansible_variables, hosts, known_hosts


@click.command(
    epilog="A dynamic inventory for Ansible is a program of two lines: `#!/bin/sh` and "
    '`exec groundplane inventory --format ansible "$@" /path/to/catalog/`.'
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "ansible", "known-hosts"]),
    default="table",
    show_default=True,
    help="A table for people, the JSON of a dynamic inventory, or pinned host keys for ssh.",
)
@click.option("--list", "_all", is_flag=True, help="All hosts, as without it: Ansible asks so.")
@click.option("--host", metavar="NAME", help="The variables of one host (ansible).")
@source_argument
@bounded
def inventory(form: str, _all: bool, host: str | None, source: Path) -> int:  # noqa: FBT001
    """List the machines of the catalog in SOURCE, and the groups that deploys know them by.

    Groups are hypervisors, nodes, vms, bare, hypervisor_NAME, zone_NAME and label_KEY_VALUE; what
    is neither letter nor digit in them is an underscore.
    """
    listed = hosts(read_catalog(source))
    if host is not None:
        known = {each.name: each for each in listed}
        if host not in known:
            raise GroundplaneError(f'there is no host "{host}"{did_you_mean(host, known)}')
        print_json(ansible_variables(known[host]))
    elif form == "ansible":
        print_json(ansible(listed))
    elif form == "known-hosts":
        click.echo(known_hosts(listed), nl=False)
    else:
        rows = [
            (
                each.name,
                f"{each.management.user}@{each.address}",
                str(each.management.port),
                ",".join(each.groups),
            )
            for each in listed
        ]
        print_table(("NAME", "SSH", "PORT", "GROUPS"), rows)
    return 0

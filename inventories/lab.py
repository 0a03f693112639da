"""The nodes of the lab, from the catalog's Node documents ($GROUNDPLANE_SOURCE, or the example's).

The lab lies in a network namespace of its own, which this process joins, and its host keys are
pinned in the lab's own known_hosts.
"""

import platform

from deploys.catalog import read_source
from deploys.hosts import hosts_of
from deploys.lab import client_key, enter, known_hosts
from deploys.lab.site import lab_of
from deploys.wheelhouse import wheelhouse_for

_lab = lab_of(read_source())
# The lab's network leads nowhere else: what its nodes (Debian 12) need is fetched before.
wheelhouse_for("3.11", platform.machine())
enter(_lab)

nodes = [
    (
        name,
        data | {"ssh_key": str(client_key(_lab)), "ssh_known_hosts_file": str(known_hosts(_lab))},
    )
    for name, data in hosts_of(read_source())
]

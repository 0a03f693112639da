"""The nodes of the lab, from the catalog's Node documents ($GROUNDPLANE_SOURCE, or the example's).

The lab lies in a network namespace of its own, which this process joins, and its host keys are
pinned in the lab's own known_hosts. Where the catalog is the clone of the site's repository in the
lab, its nodes get it from the git server; any other is put on them.
"""

import platform

from groundplane_deploys.catalog import read_source, source_directory
from groundplane_deploys.hosts import groups_of
from groundplane_deploys.images.cache import cache_directory
from groundplane_deploys.images.local import ensure_local
from groundplane_deploys.lab import client_key, enter, known_hosts
from groundplane_deploys.lab.git import node_trust, node_url
from groundplane_deploys.lab.model import PYTHONS
from groundplane_deploys.lab.site import lab_of
from groundplane_deploys.lab.ssh import public
from groundplane_deploys.vm_keys import read_pinned
from groundplane_deploys.wheelhouse import wheelhouse_for

_lab = lab_of(read_source())
# The lab's network leads nowhere else: what its machines need is fetched before.
for _python in sorted({PYTHONS[_node.tree] for _node in (*_lab.nodes, *_lab.guests)}):
    wheelhouse_for(_python, platform.machine())
for _image in read_source().images.values():
    ensure_local(_image, source_directory(), cache_directory())
enter(_lab)

_source = (
    {"source": node_url(_lab), "trust": node_trust(_lab)}
    if source_directory().resolve() == _lab.clone_dir.resolve()
    else {}
)

# ssh of pyinfra reads one file: pinned keys of the lab's machines, and those of VMs on them.
_pinned = _lab.ssh_dir / "known_hosts.all"
_pinned.write_text(known_hosts(_lab).read_text() + read_pinned(_lab.guest_keys_dir))
_lab_data = {
    "ssh_key": str(client_key(_lab)),
    "ssh_known_hosts_file": str(_pinned),
    "vm_keys_directory": str(_lab.guest_keys_dir),
    "authorized_keys": [public(client_key(_lab)).read_text().strip()],
    # VMs of the lab are mostly emulated, and share the machine with what deploys and tests them.
    "boot_timeout": 2400,
    **_source,
}
globals().update(
    {
        group: [(name, data | _lab_data) for name, data in members]
        for group, members in groups_of(read_source()).items()
    }
)

"""The machines of your own site, in groups, from the catalog in $GROUNDPLANE_SOURCE.

Groups are hypervisors, nodes, vms, bare, hypervisor_NAME, zone_NAME and label_KEY_VALUE: what
`groundplane inventory` lists. `--limit zone_a` takes one of them.
"""

import os
import sys

from groundplane_deploys.catalog import read_source
from groundplane_deploys.hosts import groups_of, pin_host_keys

if not os.environ.get("GROUNDPLANE_SOURCE"):  # the example's machines are none of anybody's
    sys.exit("inventories/site.py: GROUNDPLANE_SOURCE is not set: the directory of your catalog")
pin_host_keys(read_source())
globals().update(groups_of(read_source()))

"""The nodes of your own site, from the Node documents of the catalog in $GROUNDPLANE_SOURCE."""

from deploys.catalog import read_source
from deploys.hosts import hosts_of, pin_host_keys

pin_host_keys(read_source())
nodes = hosts_of(read_source())

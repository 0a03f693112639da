"""Upgrade nodes, one after the other: `pyinfra --serial INVENTORY deploys/upgrade.py`.

Debian's packages and the agent; with `--data reboot=true` each node boots, which its Node document
has to be ready for (spec.state: drain). The first node that does not get well again is the last
one that is touched. Connections stay, unless a node boots.
"""

from groundplane_deploys.machine import node
from groundplane_deploys.machine.upgrade import begin, end, packages

begin()
packages()
node()
end()

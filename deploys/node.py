"""A node, VM or bare: `pyinfra inventories/site.py deploys/node.py`, and once more for no change."""

from groundplane_deploys.machine import node

node()

"""A node, VM or bare: `pyinfra inventories/site.py deploys/node.py`, and once more for no change."""

from deploys.machine import node

node()

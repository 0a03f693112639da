"""The whole site: `pyinfra inventories/lab.py deploys/site.py`, and once more for no change."""

from deploys.machine import node

node()

"""The whole site: `pyinfra inventories/lab.py deploys/site.py`, and once more for no change."""

from deploys.node import agent, links, name_server, prepare

prepare()
links()
name_server()
agent()

"""A host that is not a node, as an endpoint of IPVS: `pyinfra HOST,... deploys/backend.py`.

The catalog's EndpointSlices say by its own addresses what comes to it, by direct routing or in
tunnels. What comes to it no more is taken away again.
"""

from groundplane_deploys.machine.backend import backend

backend()

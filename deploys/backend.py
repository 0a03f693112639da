"""A host that is not a node, as an endpoint of IPVS: `pyinfra HOST,... deploys/backend.py`.

The EndpointSlices that list the host's addresses determine which services reach it, by direct
routing or in tunnels. Settings for services that no longer reach it are removed.
"""

from groundplane_deploys.machine.backend import backend

backend()

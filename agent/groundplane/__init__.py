"""Cluster IPs, service discovery and load balancing for bare nodes and VMs, without a control plane.

The package is a linear pipeline. Each step is a module with one entry point:
`load` a directory, `check` it, `allocate` its addresses, `resolve` selectors to endpoints,
`project` the site onto one node, render that with a dataplane, `diff` it with the actual state,
and write the difference.
"""

__version__ = "0.1.0"

"""Take nodes out of the site: `pyinfra INVENTORY --limit n3 deploys/remove.py`.

Their Node documents say spec.state: drain before, and go from the catalog afterwards.
"""

from groundplane_deploys.machine.remove import removed

removed()

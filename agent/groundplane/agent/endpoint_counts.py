"""The number of ready endpoints of each service, in Prometheus' text format.

A site of 10,000 services has 20,000 of these samples: the text of each service is kept until the
service changes, and a request joins them.
"""

from collections.abc import Iterable
from typing import Final

from groundplane.project.extent import All, Extent
from groundplane.project.select_endpoints import NOWHERE, Failing, select_endpoints
from groundplane.site.blocks import Key
from groundplane.site.compiled import Service
from groundplane.site.snapshot import Snapshot

NAME: Final = "groundplane_service_endpoints"
HELP: Final = "Endpoints of a service, by whether they are ready"
HEAD: Final = f"""\
# HELP {NAME} {HELP}
# TYPE {NAME} gauge
""".encode()


class EndpointCounts:
    """The samples of the services of one site after another."""

    def __init__(self) -> None:
        self._samples: dict[Key, bytes] = {}
        self._changed: set[Key] | None = None  # since they were last asked for, None: all

    def changed(self, extent: Extent) -> None:
        """Note that the endpoints of the services in *extent* may have changed."""
        if isinstance(extent, All):
            self._changed = None
        elif self._changed is not None:
            self._changed.update(extent.service_keys(()))

    def exposition(self, snapshot: Snapshot, failing: Failing) -> bytes:
        """Return the samples of *snapshot*, of which the workloads *failing* fail their probes."""
        services: Iterable[tuple[Key, Service | None]]
        if self._changed is None:
            self._samples.clear()
            services = ((each.key, each) for each in snapshot.every_service())
        else:
            services = [(key, snapshot.service(key)) for key in self._changed]
        for key, service in services:
            if service is None or service.external_name:
                self._samples.pop(key, None)
                continue
            ready = len(select_endpoints(service, NOWHERE, failing).ready)
            labels = f'namespace="{key[0]}",service="{key[1]}"'
            self._samples[key] = (
                f'{NAME}{{{labels},state="ready"}} {ready}\n'
                f'{NAME}{{{labels},state="not_ready"}} {len(service.endpoints) - ready}\n'
            ).encode()
        self._changed = set()
        return HEAD + b"".join(self._samples.values())

"""The agent's API: for commands over its unix socket, for Prometheus and load balancers.

/healthz and /livez are kube-proxy's (pkg/proxy/healthcheck/proxy_health.go).
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from groundplane.agent.exchanges import Response
from groundplane.agent.http import ApiRequest
from groundplane.agent.metrics import Metrics
from groundplane.agent.proxy_health import proxy_health
from groundplane.agent.report import Report
from groundplane.agent.status import Status
from groundplane.agent.timings import TIMINGS, Timings
from groundplane.doctor.leftovers import found_here
from groundplane.errors import MAX_FAULTS

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_DIGITS: Final = 18  # of an event's number


class Api:
    """*poke* triggers a poll of the source."""

    def __init__(
        self,
        report: Report,
        metrics: Metrics,
        poke: Callable[[], None],
        timings: Timings = TIMINGS,
    ) -> None:
        self._report, self._metrics, self._poke = report, metrics, poke
        self._unhealthy_after = timings.unhealthy_after

    async def local(self, request: ApiRequest) -> Response:
        """Answer a command of this node."""
        match request.method, request.path:
            case "GET" | "HEAD", "/status":
                return Response(200, msgspec.json.encode(self._status()))
            case "GET" | "HEAD", "/health":
                return Response(200, msgspec.json.encode(self._report.health()))
            case "GET" | "HEAD", "/events":
                return self._events(request)
            case "POST", "/poke":
                self._poke()
                return Response(200, b"{}")
            case "GET" | "HEAD", _:
                return await self.observed(request)
        return Response(405, b"this is not to be done here\n", "text/plain")

    async def observed(self, request: ApiRequest) -> Response:
        """Answer a monitoring system."""
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"only GET is answered\n", "text/plain")
        if request.path == "/metrics":
            return Response(200, self._metrics.exposition(), _TEXT)
        if request.path in ("/healthz", "/livez"):
            return self._health(request.path)
        return Response(404, b"there is /metrics, /healthz and /livez\n", "text/plain")

    def _status(self) -> Status:
        status, base = self._report.status, self._report.base
        if base is None:
            return status
        left = found_here({each.instance for each in base.workloads})
        named = tuple(left[:MAX_FAULTS])  # with hundreds, the operator checks the node itself
        return msgspec.structs.replace(status, leftover_workloads=named) if left else status

    def _events(self, request: ApiRequest) -> Response:
        since = request.query.get("since", "0")
        if not (since.isdecimal() and len(since) <= _DIGITS):
            return Response(400, b"since is the number of an event\n", "text/plain")
        about = request.query.get("about", "")
        return Response(200, msgspec.json.encode(self._report.journal.since(int(since), about)))

    def _health(self, path: str) -> Response:
        now, base = time.time(), self._report.base
        healthy, since = proxy_health(self._report.status.planes, now, self._unhealthy_after)
        eligible = base is None or not base.draining
        updated = _instant(since)
        body = {
            "lastUpdated": updated,
            "currentTime": _instant(now),
            "nodeEligible": eligible,
            "healthy": healthy,
            "status": {
                family: {"lastUpdated": updated, "healthy": healthy}
                for family in (base.families if base is not None else ())
            },
        }
        # As in kube-proxy, /livez stays healthy on a draining node.
        code = 200 if healthy and (eligible or path == "/livez") else 503
        self._metrics.asked(path, code)
        return Response(code, json.dumps(body).encode())


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()

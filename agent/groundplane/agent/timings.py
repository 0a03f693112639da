"""How long the agent waits, in seconds. A test passes shorter times."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Timings:
    """The waits of one agent.

    *source_pause* is the minimum time between the starts of two polls, since any user of the node
    may poke; refused content is compiled again after *refused_source*, since memory or time may
    have been short; watching a file or directory is retried after *watch_retry*.

    A change of the site waits *site_patience* for a hanging worker, a change of health
    *health_patience*. The status shows a dataplane as busy after *busy_after*.

    Refused changes are retried after each of *retries*, the last of which repeats. Repairs that
    another program undoes wait *first_pause*, then twice as long, up to *longest_pause*. A proxy
    that has been out of sync for *unhealthy_after* is unhealthy.
    """

    source_pause: float = 1.0
    refused_source: float = 60.0
    watch_retry: float = 4.0
    site_patience: float = 2.0
    health_patience: float = 0.1
    busy_after: float = 1.0
    retries: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
    first_pause: float = 5.0
    longest_pause: float = 10.0
    unhealthy_after: float = 60.0


TIMINGS: Final = Timings()

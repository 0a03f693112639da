"""A storm of changes, twenty a second and each of a kind of its own: memory stays what it is.

`make soak` lets it last $GROUNDPLANE_SOAK times as long, and prints what it costs.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.cli.ask import ask
from tests.kernel.living import API, LOCK, SITE, Living, living

pytestmark = pytest.mark.slow

SECONDS = 20 * int(os.environ.get("GROUNDPLANE_SOAK", "1"))
PAUSE_S = 0.05
SERVICES = 500  # that workload a is an endpoint of
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{clusterIP: {address}, selector: {{app: web}}, ports: [{{port: 80, targetPort: http}}]}}
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Living]:
    with living("storm", tmp_path) as made:
        listed = [(n, f"10.96.{1 + n // 250}.{n % 250 + 1}") for n in range(SERVICES)]
        made.write(
            {
                "site.yaml": SITE.replace("10.96.0.0/24", "10.96.0.0/16"),
                "many.yaml": "".join(SERVICE.format(number=n, address=a) for n, a in listed),
                "addresses.lock": LOCK + "".join(f"Service/default/s{n} {a}\n" for n, a in listed),
            }
        )
        yield made


def used(agent: Living) -> tuple[int, int]:
    """Return the resident memory of the agent in KiB, and how many descriptors it has."""
    assert agent.process is not None
    found = Path(f"/proc/{agent.process.pid}")
    (memory,) = re.findall(r"VmRSS:\s+(\d+)", (found / "status").read_text())
    return int(memory), len(os.listdir(found / "fd"))


def change(agent: Living, number: int) -> None:
    """Let a workload fail or pass, let an address change, add a rule, or poke."""
    lock = (agent.source / "addresses.lock").read_text().replace("Service/default/api", "#")
    address = f"10.96.0.{6 + number // 4 % 2}"
    match number % 4:
        case 0 | 2:
            health = "false" if number % 4 else "true"
            (agent.root / "health.yaml").write_text(f"default/a: {health}\n")
        case 1 if number % 100 == 1:
            agent.nft("add rule ip groundplane-services nat-prerouting counter")
        case 1:
            agent.write(
                {
                    "api.yaml": API.replace("10.96.0.6", address),
                    "addresses.lock": re.sub("^#.*\n", "", lock, flags=re.M)
                    + f"Service/default/api {address}\n",
                }
            )
        case _:
            ask(agent.runtime, "/poke", "POST")


def test_in_a_storm_of_changes_memory_is_flat(agent: Living) -> None:
    agent.start()
    agent.until_healthy()
    before, samples, number = time.monotonic(), list[tuple[int, int]](), 0
    while (passed := time.monotonic() - before) < SECONDS:
        if passed > SECONDS / 10 * len(samples):
            samples.append(used(agent))
        change(agent, number)
        number += 1
        time.sleep(PAUSE_S)
    samples.append(used(agent))
    memory, descriptors = zip(*samples, strict=True)
    print(f"{number:,} changes in {SECONDS} s: KiB {memory}, descriptors {descriptors}")
    assert 1.05 > memory[-1] / memory[5], memory
    # A compiler that runs has some, and so has a connection.
    assert min(descriptors[6:]) <= max(descriptors[:6]), descriptors
    agent.until_healthy()

"""Facts about the agent of a node."""

import json
from collections.abc import Iterable

from pyinfra.api import FactBase


class DeclaredRevision(FactBase[str]):
    """The revision that the agent has applied, or "" if the node is not in sync."""

    default = str

    def command(self) -> str:
        return "groundplane agent status -o json 2>/dev/null || true"

    def process(self, output: Iterable[str]) -> str:
        try:
            found = json.loads("\n".join(output))
        except ValueError:  # no agent, or one that has never reported a status
            return ""
        return str(found["revision"]) if found["healthy"] else ""

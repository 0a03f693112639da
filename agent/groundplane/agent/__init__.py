"""The agent: on each node, keeps kernel and zones what the catalog says. See `loop`."""

from typing import Final

SOCKET: Final = "agent.sock"  # in the runtime directory: where the agent answers commands

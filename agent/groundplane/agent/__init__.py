"""The agent: keeps each node's kernel and zones as the catalog declares. See `loop`."""

from typing import Final

SOCKET: Final = "agent.sock"  # in the runtime directory: where the agent answers commands

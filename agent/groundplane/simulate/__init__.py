"""What the rules do with one packet, computed as the kernel computes it. Pure."""

from groundplane.simulate.simulator import Entrance, Outcome, Packet, Simulator, Target

__all__ = ["Entrance", "Outcome", "Packet", "Simulator", "Target"]

"""What the rules do with one packet, computed as the kernel computes it. Pure."""

from groundplane.simulate.simulator import Outcome, Packet, ServiceFrontend, Simulator, Target

__all__ = ["Outcome", "Packet", "ServiceFrontend", "Simulator", "Target"]

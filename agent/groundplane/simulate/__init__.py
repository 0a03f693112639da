"""Simulation of the rules for one packet, with the kernel's results. Pure."""

from groundplane.simulate.simulator import Outcome, Packet, ServiceFrontend, Simulator, Target

__all__ = ["Outcome", "Packet", "ServiceFrontend", "Simulator", "Target"]

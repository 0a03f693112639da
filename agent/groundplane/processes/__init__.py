"""Child processes: how they start, their resource limits, and how much of their output is read."""

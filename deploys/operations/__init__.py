"""Custom operations: compare a fact with the desired state, and yield the commands to reach it."""

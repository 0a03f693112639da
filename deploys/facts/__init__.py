"""Custom facts: the command to run on a host, and how to parse its output."""

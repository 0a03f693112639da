"""`python -m groundplane` is the `groundplane` command."""

from groundplane.cli import main

main()

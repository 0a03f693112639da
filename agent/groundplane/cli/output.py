"""How results are shown: a table for people, JSON and YAML for machines."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* in aligned columns, as kubectl does: plain text that cuts and greps well."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("   ".join(cells).rstrip())


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_yaml(value: Any) -> None:
    import yaml

    yaml.safe_dump(value, sys.stdout, sort_keys=False, allow_unicode=True)


def note(message: str) -> None:
    """Print *message* on standard error, so that piped output does not contain it."""
    click.echo(f"note: {message}", err=True)

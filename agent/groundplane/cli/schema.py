"""`groundplane schema`."""

from typing import Any

import click

from groundplane.cli.output import print_json


@click.command()
@click.argument("kind", required=False)
def schema(kind: str | None) -> int:
    """Print the JSON Schema of KIND, or of all kinds at once, for editors and other checkers.

    With the YAML language server: `# yaml-language-server: $schema=groundplane.schema.json`.
    """
    import msgspec

    from groundplane.hint import did_you_mean
    from groundplane.load.kinds import KINDS

    types: dict[str, Any] = {name: type_ for (_, name), type_ in KINDS.items()}
    if kind is not None:
        by_lower = {name.lower(): name for name in types}
        if kind.lower() not in by_lower:
            raise click.UsageError(f'unknown kind "{kind}"{did_you_mean(kind, types)}')
        types = {by_lower[kind.lower()]: types[by_lower[kind.lower()]]}
    schemas, components = msgspec.json.schema_components(
        types.values(), ref_template="#/$defs/{name}"
    )
    listed = list(schemas)
    document: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    document |= listed[0] if len(listed) == 1 else {"oneOf": listed}
    print_json(document | {"$defs": components})
    return 0

"""The Jinja2 environment: undefined names are errors, and there is no HTML escaping."""

from functools import cache
from typing import Any

import jinja2

from groundplane.kernel import owned


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("groundplane"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files; names are validated before
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"owned": owned, "hex": hex}
    return environment


def render_template(name: str, **values: Any) -> str:
    """Return templates/*name* rendered with *values* and the names from kernel/owned.py."""
    return _environment().get_template(name).render(**values)

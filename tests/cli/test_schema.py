"""`groundplane schema` and `groundplane completion`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from groundplane.load.kinds import KINDS
from tests.cli.run import SITE, Command


def valid(value: Any, schema: Any, root: Any) -> bool:
    """Whether *value* is as *schema* says: what our schemas use of JSON Schema 2020-12."""
    if "$ref" in schema:
        return valid(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    for word, some in (("oneOf", lambda found: sum(found) == 1), ("anyOf", any)):
        if word in schema and not some([valid(value, each, root) for each in schema[word]]):
            return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    types: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool,
             "null": type(None), "number": (int, float)}  # fmt: skip
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        return False
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        if set(schema.get("required", ())) - value.keys():
            return False
        if more is False and value.keys() - properties.keys():
            return False
        rest = more if isinstance(more, dict) else {}
        return all(valid(each, properties.get(key, rest), root) for key, each in value.items())
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return all(valid(each, schema["items"], root) for each in value)
    return True


def schema_of(groundplane: Command, *kind: str) -> Any:
    done = groundplane("schema", *kind)
    assert (0, "") == (done.status, done.err)
    return json.loads(done.out)


def test_what_users_write_is_valid(groundplane: Command) -> None:
    root = schema_of(groundplane)
    examples = [SITE, *(path.read_text() for path in Path("examples").rglob("*.yaml"))]
    documents = [each for text in examples for each in yaml.safe_load_all(text) if each]
    assert [] == [each for each in documents if not valid(each, root, root)]


@pytest.mark.parametrize("spec", [{"node": 1}, {}, {"node": "n1", "adresses": []}])
def test_what_is_wrong_is_not_valid(groundplane: Command, spec: dict[str, object]) -> None:
    root = schema_of(groundplane, "workload")
    meta = {"apiVersion": "groundplane/v1", "kind": "Workload", "metadata": {"name": "a"}}
    assert valid({**meta, "spec": {"node": "n1"}}, root, root)
    assert not valid({**meta, "spec": spec}, root, root)


@pytest.mark.parametrize("kind", [name for _, name in KINDS])
def test_every_kind_has_a_schema_whose_references_resolve(groundplane: Command, kind: str) -> None:
    text = groundplane("schema", kind).out
    root = json.loads(text)
    assert "https://json-schema.org/draft/2020-12/schema" == root["$schema"]
    wanted = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert wanted <= root["$defs"].keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script(groundplane: Command, shell: str) -> None:
    done = groundplane("completion", shell)
    assert (0, "") == (done.status, done.err)
    assert "_GROUNDPLANE_COMPLETE" in done.out

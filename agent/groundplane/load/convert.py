"""From a parsed document to a struct, or to all its errors.

msgspec reads a valid document at C speed, but stops at the first error of an invalid one. Only then
is the document walked again, alongside its type, to report all errors.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec
from msgspec import inspect

from groundplane.documents.path import join
from groundplane.errors import MAX_FAULTS
from groundplane.hint import Work, did_you_mean

T = TypeVar("T")
_AT = " - at `"


Written = Callable[[str], str]  # from a path to the original text of its scalar, or ""
MOST: Final = 10 * MAX_FAULTS  # errors of one document


class Asked(NamedTuple):
    """Costly inputs to messages: the original text of scalars (*written*), and hints (*work*)."""

    written: Written
    work: Work


def convert(value: object, type_: type[T], asked: Asked) -> T | list[tuple[str, str]]:
    """Return *value* as a *type_*, or the (path, message) of each of its first MOST errors."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError:
        info = _info(cast("Any", type_))
        value = _without_unset(value, info)
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        return list(islice(_faults(value, info, "", asked), MOST)) or [("", _plain(error))]


@cache
def _info(type_: type) -> inspect.Type:
    return inspect.type_info(type_)


def _without_unset(value: Any, type_: inspect.Type) -> Any:
    """Return *value* without fields that are null: kubectl prints `endpoints: null` for none.

    Some fields of Kubernetes also count as unset when empty (Document.empty_is_unset). Only fields
    are removed: a null label stays an error, since a selector without it would match more.
    """
    match type_:
        case inspect.StructType(cls=cls, fields=fields) if isinstance(value, dict):
            types = {field.encode_name: field.type for field in fields}
            return {
                name: _without_unset(item, types[name]) if name in types else item
                for name, item in value.items()
                if not _is_unset(name, item, cls) or name not in types
            }
        case inspect.VarTupleType(item_type=inner) if isinstance(value, list):
            return [_without_unset(item, inner) for item in value]
        case inspect.UnionType(types=members):
            for member in members:
                value = _without_unset(value, member)
    return value


def _is_unset(name: str, value: Any, cls: type) -> bool:
    return value is None or (value == "" and name in getattr(cls, "empty_is_unset", ()))


def _plain(error: msgspec.ValidationError) -> str:
    message = str(error).split(_AT)[0]
    return (message[:1].lower() + message[1:]).replace("`", '"')


def _faults(  # noqa: C901
    value: Any, type_: inspect.Type, path: str, asked: Asked
) -> Iterator[tuple[str, str]]:
    match type_:
        case inspect.UnionType(types=types):
            if value is None and any(isinstance(member, inspect.NoneType) for member in types):
                return
            members = [member for member in types if not isinstance(member, inspect.NoneType)]
            if len(members) == 1:
                yield from _faults(value, members[0], path, asked)
            else:
                yield from _leaf(value, type_, path, asked)
        case inspect.StructType(fields=fields):
            if not isinstance(value, dict):
                yield path, f"expected a mapping, got {_named(value)}"
                return
            known = {field.encode_name: field for field in fields}
            for name in value:
                if name not in known:
                    yield join(path, str(name)), _unknown(str(name), known, asked.work)
            for name, field in known.items():
                if name in value:
                    yield from _faults(value[name], field.type, join(path, name), asked)
                elif field.required:
                    yield path, f'"{name}" is required'
        case inspect.DictType(value_type=inner):
            if not isinstance(value, dict):
                yield path, f"expected a mapping, got {_named(value)}"
                return
            for name, item in value.items():
                if name == "<<":
                    yield join(path, name), _MERGE_KEY
                    continue
                if not isinstance(name, str):
                    yield path, f"expected text as key, got {name!r}; quote it"
                yield from _faults(item, inner, join(path, str(name)), asked)
        case inspect.VarTupleType(item_type=inner):
            if not isinstance(value, list):
                yield path, f"expected a list, got {_named(value)}"
                return
            for index, item in enumerate(value):
                yield from _faults(item, inner, join(path, index), asked)
        case _:
            yield from _leaf(value, type_, path, asked)


_MERGE_KEY = "merge keys (<<) are none of YAML 1.2's: write the fields out"


def _unknown(name: str, known: Iterable[str], work: Work) -> str:
    if name == "<<":
        return _MERGE_KEY
    if name.startswith("!"):
        return f"the tag {name} means nothing here"
    return f'unknown field "{name}"{did_you_mean(name, known, work)}'


_NAMES = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}


def _named(value: object) -> str:
    return "nothing" if value is None else _NAMES.get(type(value), type(value).__name__)


def _accepts(value: object, type_: inspect.Type) -> bool:
    match type_:
        case inspect.AnyType():
            return True
        case inspect.UnionType(types=types):
            return any(_accepts(value, member) for member in types)
        case inspect.NoneType():
            return value is None
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.LiteralType(values=values):
            return value in values
    return False


def _wanted(type_: inspect.Type) -> str:
    match type_:
        case inspect.UnionType(types=types):
            return " or ".join(_wanted(t) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.LiteralType(values=values):
            return " or ".join(f'"{value}"' for value in values)
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number"
    return "something else"


def _leaf(value: object, type_: inspect.Type, path: str, asked: Asked) -> Iterator[tuple[str, str]]:
    if _accepts(value, type_):
        return
    got = f'"{value}"' if isinstance(value, str) else _named(value)
    if isinstance(value, (bool, int, float)):
        got = asked.written(path) or str(value).lower()
    hint = ""
    if isinstance(type_, inspect.StrType) and isinstance(value, (bool, int, float)):
        hint = f'; quote it: "{got}"'
    if isinstance(type_, inspect.IntType) and isinstance(value, str) and value.isdecimal():
        hint = "; write it without quotes"
    if isinstance(type_, inspect.LiteralType) and isinstance(value, str):
        hint = did_you_mean(value, [str(known) for known in type_.values], asked.work)
    yield path, f"expected {_wanted(type_)}, got {got}{hint}"

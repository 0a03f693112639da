"""Reads health results of another program: which workloads pass or fail."""

from pathlib import Path
from typing import Final

from groundplane.errors import SourceError
from groundplane.load.yaml import YamlError, parse

MAX_BYTES: Final = 16 << 20
_FORM: Final = "a mapping of NAMESPACE/NAME to true or false is needed"


def read_health(file: Path) -> frozenset[tuple[str, str]]:
    """Return the workloads that *file* says fail, as (namespace, name); SourceError says why not.

    The file is YAML, a mapping of NAMESPACE/NAME to true (passes) or false; who is not in it passes.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)  # whatever it says its size is
        if len(raw) > MAX_BYTES:
            raise SourceError(f"{file}: larger than {MAX_BYTES >> 20} MiB")
        health = parse(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: not UTF-8: {error.reason}") from None
    except OSError as error:
        raise SourceError(f"{file}: {error.strerror}") from None
    except YamlError as error:
        raise SourceError(f"{file}:{max(error.line, 1)}: not YAML: {error}") from None
    if health is None:
        return frozenset()
    if not isinstance(health, dict):
        raise SourceError(f"{file}: {_FORM}")
    for name, passes in health.items():
        if not isinstance(name, str) or name.count("/") != 1 or not isinstance(passes, bool):
            raise SourceError(f"{file}: {name}: {_FORM}")
    failing = (name.split("/") for name, passes in health.items() if not passes)
    return frozenset((namespace, name) for namespace, name in failing)

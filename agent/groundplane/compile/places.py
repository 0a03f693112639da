"""Where each object of a source is written. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from groundplane.check.tenants import file_in_source
from groundplane.documents.catalog import Catalog, DocumentKey
from groundplane.site import compiled


def places(catalog: Catalog) -> Iterator[compiled.FilePlaces]:
    """Yield the places of the objects of each file of *catalog*."""
    by_file: dict[str, list[tuple[DocumentKey, int, str, int]]] = defaultdict(list)
    for key, (file, line, within, item_line) in catalog.origins.items():
        by_file[file].append((key, line, within, item_line))
    for file, written in by_file.items():
        yield compile_places(file_in_source(catalog, file), written)


def compile_places(
    path: str, written: Iterable[tuple[DocumentKey, int, str, int]]
) -> compiled.FilePlaces:
    """Return the places of objects in the file *path*, given their origins without the file."""
    objects: dict[str, list[str]] = defaultdict(list)
    for (kind, namespace, name), line, within, item_line in written:
        is_exact = item_line or not within
        entry = f"{name} {item_line or line}" if is_exact else f"{name} {line} {within}"
        objects[f"{kind}/{namespace}" if namespace else kind].append(entry)
    return compiled.FilePlaces(path, dict(objects))

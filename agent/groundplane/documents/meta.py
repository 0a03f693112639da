"""Common parts of all documents: the base of all structs, and metadata as Kubernetes prints it."""

from typing import Any, ClassVar

import msgspec


class Document(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
):
    """A mapping in a document: camelCase names, unknown fields are errors."""

    # Enumerated fields for which an API server treats "" as unset.
    empty_is_unset: ClassVar[tuple[str, ...]] = ()


class ObjectMeta(Document, frozen=True):
    """Name, namespace, labels and annotations; what an API server adds is accepted and ignored."""

    name: str
    namespace: str = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    generate_name: Any = None
    uid: Any = None
    resource_version: Any = None
    generation: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    owner_references: Any = None
    finalizers: Any = None
    managed_fields: Any = None
    self_link: Any = None

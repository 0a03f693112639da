"""From a directory of YAML and JSON to a catalog, or to all errors of its documents at once.

Only this package reads the source. Documents are split, parsed (`yaml`, `json`), read into structs
(`convert`), and collected; line numbers are looked up (`positions`) only for errors.
"""

from groundplane.load.directory import line_of, load, place
from groundplane.load.fingerprint import SourceFingerprint, fingerprint_of
from groundplane.load.ignore import IGNORE_FILE, Ignore, PatternError
from groundplane.load.objects import ReadFile, read_file
from groundplane.load.tree import MAX_FILES, SUFFIXES, tree_of

__all__ = [
    "IGNORE_FILE",
    "MAX_FILES",
    "SUFFIXES",
    "Ignore",
    "PatternError",
    "ReadFile",
    "SourceFingerprint",
    "fingerprint_of",
    "line_of",
    "load",
    "place",
    "read_file",
    "tree_of",
]

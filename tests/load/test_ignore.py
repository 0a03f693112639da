"""`.groundplaneignore`: what git would not list, nothing here reads."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.load import fingerprint_of, load
from groundplane.load.ignore import Ignore, PatternError
from groundplane.load.tree import tree_of
from tests.catalogs import SITE, faults, write

VALUES = "replicas: {{ .Values.replicas }}\n"


def read_below(source: Path) -> set[str]:
    return {str(path.relative_to(source)) for path in tree_of(source).read}


def test_what_it_names_is_not_read_and_is_told_of(source: Path) -> None:
    write(source, {"site.yaml": SITE, "values.yaml": VALUES, "charts/web/a.yaml": VALUES})
    assert faults(source) != []
    write(source, {".groundplaneignore": "# Helm's\nvalues.yaml\n/charts/\n"})
    assert load(source).ignored == ("charts/", "values.yaml")


def test_a_file_in_a_folder_counts_there_and_comes_last(source: Path) -> None:
    write(
        source, {".groundplaneignore": "*.yml\n", "web/.groundplaneignore": "!keep.yml\nb.yaml\n"}
    )
    write(source, dict.fromkeys(("a.yml", "b.yaml", "web/keep.yml", "web/a.yml", "web/b.yaml"), ""))
    assert {"b.yaml", "web/keep.yml"} == read_below(source)


def test_what_is_in_a_hidden_folder_stays_hidden(source: Path) -> None:
    write(source, {".groundplaneignore": "charts/\n!charts/a.yaml\n", "charts/a.yaml": ""})
    assert set() == read_below(source)


def test_two_stars_at_the_end_are_the_folders_below(source: Path) -> None:
    write(source, {".groundplaneignore": "a/**/\n", "a/a.yaml": "", "a/b/c.yaml": ""})
    assert {"a/a.yaml"} == read_below(source)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("!", "gitignore(5) has no such pattern"),
        ("a[", "gitignore(5) has no such pattern"),
        ("[z-a]", "gitignore(5) has no such pattern"),
        ("a\\", "gitignore(5) has no such pattern"),
        ("*a*b*c*", "a part of a pattern has at most 3 *"),
    ],
)
def test_a_line_that_is_no_pattern_is_a_fault(source: Path, line: str, reason: str) -> None:
    """It was meant to hide something."""
    write(source, {".groundplaneignore": f"a.yaml\n\n{line}\n"})
    assert faults(source) == [f"site/.groundplaneignore:3: {line}: {reason}"]


def test_an_ignore_file_that_is_no_text_is_a_fault(source: Path) -> None:
    source.mkdir(exist_ok=True)
    (source / ".groundplaneignore").write_bytes(b"a\n\xff\n")
    assert faults(source) == ["site/.groundplaneignore:2: not UTF-8: byte 0xff"]


def test_an_ignore_file_that_is_a_folder_is_a_fault(source: Path) -> None:
    write(source, {"site.yaml": SITE})
    (source / ".groundplaneignore").mkdir()
    assert faults(source) == ["site/.groundplaneignore:1: no regular file"]


def test_messages_about_files_of_others_tell_of_it(source: Path) -> None:
    hint = "a file that is not for groundplane can be named in .groundplaneignore"
    for text in ("site_name: docs\n", "- a\n"):
        (found,) = faults(source, text)
        assert found.endswith(hint), found
    assert "then name it in .groundplaneignore" in faults(source, "a: {{ .Values.a }}\n")[0]


def test_a_change_of_it_is_a_change_of_the_source(source: Path) -> None:
    write(source, {"site.yaml": SITE, ".groundplaneignore": "a.yaml\n"})
    before = fingerprint_of(source)
    write(source, {".groundplaneignore": "a.yaml\nb.yaml\n"})
    assert fingerprint_of(source) != before


_NAMES = st.sampled_from(["a", "b", "ab", "a.yaml", "b.yaml", "ab.yaml"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(
    lambda parts: "/".join([*parts[:-1], f"{parts[-1]}.yaml"])
)
_PARTS = st.sampled_from(
    ["a", "b", "*", "a*", "?", "[ab]", "**", "*.yaml", "ab.yaml.yaml", "[!a]*"]
)
_PATTERNS = st.builds(
    lambda before, parts, after: before + "/".join(parts) + after,
    st.sampled_from(["", "!", "/", "!/"]),
    st.lists(_PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "/", " ", "\\ "]),
)


def _listed_by_git(folder: str) -> set[str]:
    command = ["git", "-C", folder, "ls-files", "-z", "--others"]
    command.append("--exclude-per-directory=.groundplaneignore")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {path for path in done.stdout.split("\0") if path}


@given(
    paths=st.sets(_PATHS, min_size=1, max_size=8),
    ignored=st.dictionaries(
        st.sampled_from(["", "a/", "a/b/"]), st.lists(_PATTERNS, max_size=4), max_size=3
    ),
)
def test_it_hides_what_git_would(paths: set[str], ignored: dict[str, list[str]]) -> None:
    ignore = Ignore()
    with TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["git", "init", "-q", name], check=True)
        for path in paths:
            target = folder / path
            if not any(parent.is_file() for parent in target.parents) and not target.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
        for at, patterns in ignored.items():
            text = "".join(f"{pattern}\n" for pattern in patterns)
            ignore.add(at, text)
            if (folder / at).is_dir():
                (folder / at / ".groundplaneignore").write_text(text)
        shown = {path for path in _listed_by_git(name) if path.endswith(".yaml")}
        every = {str(path.relative_to(folder)) for path in folder.rglob("*.yaml") if path.is_file()}
    assert {path for path in every if not ignore.hides(path)} == shown


def test_a_pattern_error_has_its_line() -> None:
    with pytest.raises(PatternError) as caught:
        Ignore().add("", "a\nb\n!\n")
    assert caught.value.line == 3

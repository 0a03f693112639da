"""Find the Debian mirror that this machine already uses, so that no mirror is hard-coded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_RELEASES = ("bullseye", "bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable")


class NoMirror(Exception):
    """The machine's apt configuration leads to no Debian archive; the text says what to do."""


@dataclass(frozen=True)
class AptSource:
    """One archive, as either of apt's two formats describes it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def read_machine_sources(etc: Path = Path("/etc/apt")) -> tuple[AptSource, ...]:
    """Read every enabled binary archive of the machine's apt configuration."""
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    found = [each for path in lists if path.is_file() for each in parse_one_line(path.read_text())]
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        found += parse_deb822(path.read_text())
    return tuple(_follow_mirror_lists(found))


def parse_one_line(text: str) -> Iterator[AptSource]:
    """Read the `deb [options] uri suite component...` format."""
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words or words[0] != "deb":
            continue
        rest = words[1:]
        if rest and rest[0].startswith("["):
            end = next((at for at, word in enumerate(rest) if word.endswith("]")), len(rest) - 1)
            rest = rest[end + 1 :]
        if len(rest) >= 2:
            yield AptSource(rest[0].rstrip("/"), (rest[1],), tuple(rest[2:]))


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Read the stanza format of `*.sources` files."""
    for stanza in _split_stanzas(text):
        words = {field: value.split() for field, value in stanza.items()}
        if "deb" not in words.get("types", []):
            continue
        if stanza.get("enabled", "yes").lower() in ("no", "false", "0", "off", "without"):
            continue
        for uri in words.get("uris", []):
            yield AptSource(
                uri.rstrip("/"), tuple(words.get("suites", [])), tuple(words.get("components", []))
            )


def choose_mirror(sources: Iterable[AptSource], suite: str) -> str:
    """Return the archive with *suite*, else one with another Debian release."""
    usable = [each for each in sources if "main" in each.components and _is_plain(each.uri)]
    for wanted in ((suite,), _RELEASES):
        for source in usable:
            if set(source.suites) & set(wanted):
                return source.uri
    raise NoMirror(f"apt's configuration names no Debian archive with {suite} main: add one")


def format_sources(sources: Iterable[AptSource], mirror: str, suite: str) -> str:
    """Return the sources.list of a new Debian: *mirror*, and the machine's updates and security."""
    lines = [f"deb {mirror} {suite} main"]
    for source in sources:
        if "main" in source.components:
            suites = [each for each in source.suites if each.startswith(f"{suite}-")]
            lines += [f"deb {source.uri} {each} main" for each in suites]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _split_stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    field = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0].isspace() and field:
            stanza[field] += f" {line.strip()}"
        elif ":" in line:
            name, value = line.split(":", 1)
            field = name.strip().lower()
            stanza[field] = value.strip()


def _follow_mirror_lists(sources: Iterable[AptSource]) -> Iterator[AptSource]:
    """Replace `mirror+file:` archives, which only apt understands, with the first of their list."""
    for source in sources:
        if not source.uri.startswith("mirror+file:"):
            yield source
            continue
        listed = Path("/" + source.uri.removeprefix("mirror+file:").lstrip("/"))
        lines = listed.read_text().splitlines() if listed.is_file() else []
        uris = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        if uris:
            yield AptSource(uris[0].rstrip("/"), source.suites, source.components)


def _is_plain(uri: str) -> bool:
    return uri.startswith(("http://", "https://", "file:"))

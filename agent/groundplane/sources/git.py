"""A repository on a server, polled with `git ls-remote` and fetched when its ref has moved.

Over an existing ssh connection, a poll starts no process: this code speaks the protocols itself.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from groundplane.errors import SourceError
from groundplane.sources.cache import Cache, export, repository
from groundplane.sources.connection import SshConnection
from groundplane.sources.content import Content, Unfit
from groundplane.sources.export import export_tree
from groundplane.sources.git_command import Git, git_for
from groundplane.sources.multiplexing import session
from groundplane.sources.references import NotUnderstood, references
from groundplane.sources.trust import Trust
from groundplane.sources.url import GitUrl
from groundplane.sources.waits import Waits

_LOCAL_S: Final = 60.0
_OURS: Final = "refs/groundplane/source"
_LISTED: Final = re.compile(r"([0-9a-f]{40,64})\t(\S+)")


class GitSource:
    """The directory of *url*, exported below *cache*, which only this source uses."""

    def __init__(self, url: GitUrl, cache: Path, trust: Trust, waits: Waits) -> None:
        if url.protocol == "ssh" and not (trust.key and trust.known_hosts):
            wanted = "a private key, and a file with the server's key (known_hosts)"
            raise SourceError(f"{url}: git+ssh needs {wanted}")
        self.name = str(url)
        self.watched: Path | None = None
        self._url = url
        self._waits = waits
        self._trust = trust
        self._cache = Cache(cache.absolute(), trust.max_bytes)
        files = [file for file in (trust.key, trust.known_hosts) if file]
        self._connection = SshConnection(self._cache.path, files, waits)
        self._not_understood = ""  # the connection over which only git is to ask
        self._content: Content | None = None
        self._unfit = ("", "")  # a commit that cannot be used, and why

    async def look(self) -> Content:
        """Return the content that the ref points to; SourceError says why it is unavailable."""
        try:
            return await self._look()
        except OSError as error:
            where = error.filename or self._cache.path
            raise SourceError(f"{self.name}: {where}: {error.strerror}") from None

    async def _look(self) -> Content:
        self._cache.make()
        await self._connection.renew()
        ref, commit = await self._remote_ref()
        content, (unfit, why) = self._content, self._unfit
        if (
            content
            and content.revision == commit
            and content.directory
            and content.directory.is_dir()
        ):
            return content
        if commit == unfit:
            raise Unfit(why)
        try:
            self._content = await self._update(self._git(), ref)
        except Unfit as error:
            self._unfit = (commit, str(error))
            raise
        return self._content

    def _git(self) -> Git:
        return git_for(
            self._url, self._cache.path, self._trust, self._connection.socket, self._waits.persist
        )

    async def _remote_ref(self) -> tuple[str, str]:
        """Return the full name of the ref at the server, and the commit that it has there."""
        wanted = self._url.ref
        if not wanted:
            names = ["HEAD"]
        elif wanted.startswith(("refs/heads/", "refs/tags/")):
            names = [wanted]
        else:
            names = [f"refs/heads/{wanted}", f"refs/tags/{wanted}"]
        listed = await self._listed(names)
        found = [name for name in names if name in listed]
        if len(found) > 1:
            both = f"there is a branch {wanted} and a tag {wanted}"
            raise SourceError(f"{self.name}: {both}; ref=refs/heads/{wanted} or refs/tags/{wanted}")
        if not found:
            empty = "the repository is empty, or has no branch that its HEAD names"
            missing = f"the repository has no branch or tag {wanted}"
            raise SourceError(f"{self.name}: {missing if wanted else empty}")
        return found[0], listed.get(found[0] + "^{}", listed[found[0]])

    async def _listed(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the objects of *names* at the server, that of a tag's commit by NAME^{}.

        If an existing connection fails, a new one is used.
        """
        if self._connection.is_there():
            with suppress(SourceError, OSError, EOFError):
                return await self._listed_over_connection(names)
            await self._connection.end()
        return await self._listed_by_git(names, self._waits.look)

    async def _listed_over_connection(self, names: Sequence[str]) -> Mapping[str, str]:
        where = self._connection.socket
        if where != self._not_understood:
            command, environment = (
                f"git-upload-pack '{self._url.place}'",
                {"GIT_PROTOCOL": "version=2"},
            )
            try:
                async with (
                    asyncio.timeout(self._waits.again),
                    session(self._cache.path, where, command, environment) as talk,
                ):
                    return await references(talk, names)
            except NotUnderstood:
                self._not_understood = where
        return await self._listed_by_git(names, self._waits.again)

    async def _listed_by_git(self, names: Sequence[str], within: float) -> Mapping[str, str]:
        patterns = (pattern for name in names for pattern in (name, name + "^{}"))
        asked = ("ls-remote", "--", self._url.remote, *patterns)
        output = await self._git().run(*asked, within=within)
        return {name: found for found, name in _LISTED.findall(output.decode(errors="replace"))}

    async def _update(self, git: Git, ref: str) -> Content:
        """Return what the ref *ref* has, fetched into the repository that is kept, or into a new one."""
        if self._cache.has_repository():
            try:
                return await self._fetch(git, ref)
            except SourceError:
                pass  # the repository that was kept may be why, and is gone
        return await self._fetch(git, ref)

    async def _fetch(self, git: Git, ref: str) -> Content:
        work = await asyncio.to_thread(self._cache.begin)
        try:
            fetched = repository(work)
            if not fetched.exists():
                new = ("init", "--quiet", "--bare", "--template=", str(fetched))
                await git.run(*new, within=_LOCAL_S)
            options = ["--quiet", "--depth=1", "--force", "--no-tags", "--no-recurse-submodules"]
            options += ["--no-write-fetch-head", "--no-auto-maintenance", "--"]
            where = (self._url.remote, f"+{ref}:{_OURS}")
            await git.run(
                f"--git-dir={fetched}", "fetch", *options, *where, within=self._waits.fetch
            )
            commit, tree = await self._found(git, fetched)
            before = self._cache.newest_export()
            await asyncio.to_thread(export_tree, git, fetched, tree, export(work), before)
            directory = await asyncio.to_thread(self._cache.keep, work, tree)
        finally:
            await asyncio.to_thread(self._cache.end, work)
        return Content(commit, commit, directory, None, f"{self.name}@{commit[:12]}")

    async def _found(self, git: Git, fetched: Path) -> tuple[str, str]:
        """Return the commit that was fetched, and its tree, or that of the directory in it."""
        commit, tree = f"{_OURS}^{{commit}}", f"{_OURS}^{{commit}}:{self._url.directory}"
        asked = ("cat-file", "--batch-check")
        given = f"{commit}\n{tree}\n".encode()
        output = await git.run(f"--git-dir={fetched}", *asked, within=_LOCAL_S, given=given)
        first, second = (line.split() for line in output.decode().splitlines())
        if first[1:2] != ["commit"]:
            raise Unfit(f"{self.name}: {self._url.ref or 'HEAD'} is not a commit")
        if second[1:2] != ["tree"]:
            raise Unfit(f"{self.name}: the repository has no directory {self._url.directory}")
        return first[0], second[0]

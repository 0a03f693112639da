"""An agent whose source is a web server: it takes what is there, and keeps it when that is gone."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.site.encoding import encode
from groundplane.site.snapshot import revision_of
from tests.kernel.living import API, LOCK, Living, living
from tests.kernel.world import within
from tests.sources.pki import authority, signed
from tests.sources.web import Handler, Web, web

pytestmark = pytest.mark.slow


class Central:
    """A server in the agent's namespace that has the snapshot of the agent's own directory."""

    def __init__(self, agent: Living, server: Web) -> None:
        self.agent, self.server = agent, server
        self.publish()
        server.answer = self._answer

    def publish(self) -> str:
        """Let the server have what the directory comes to; return its revision."""
        self.content = encode(compile_source(self.agent.source))
        return revision_of(self.content)

    def _answer(self, handler: Handler) -> None:
        tag = f'"{hashlib.sha256(self.content).hexdigest()}"'
        if handler.headers.get("If-None-Match") == tag:
            handler.reply(304, ETag=tag)
        else:
            handler.reply(200, self.content, ETag=tag)


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    with living("central", tmp_path) as agent:
        trust = tmp_path / "trust"
        trust.mkdir()
        by = authority(trust, "ca")
        serving = web(signed(by, "server"))
        server = within(agent.netns, serving.__enter__)
        try:
            made = Central(agent, server)
            url = f"https://{server.place}/site.snapshot"
            agent.start("--trust", str(trust), "--poll", "0.5", source=url)
            agent.until_healthy()
            yield made
        finally:
            agent.stop()
            serving.__exit__(None, None, None)


def test_what_is_published_is_served_within_the_poll_interval(central: Central) -> None:
    agent = central.agent
    assert agent.status["sourceRevision"] == agent.status["revision"]
    agent.write({"addresses.lock": LOCK + "Service/default/api 10.96.0.6\n", "api.yaml": API})
    revision = central.publish()
    assert 2.0 > agent.until(lambda: agent.status["revision"] == revision)
    assert "10.96.0.6" in agent.nft("list", "map", "ip", "groundplane-services", "cluster_ips")


@pytest.mark.parametrize("what", ["half of it", "nothing", "one bit"])
def test_what_is_broken_changes_nothing_and_is_told(central: Central, what: str) -> None:
    agent, whole = central.agent, central.content
    rules = agent.rules()
    broken = {
        "half of it": whole[: len(whole) // 2],
        "nothing": b"",
        "one bit": whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:],
    }
    central.content = broken[what]
    agent.until(lambda: agent.status["sourceError"])
    assert central.server.place in agent.status["sourceError"]
    assert rules == agent.rules()
    central.content = whole
    agent.until(lambda: not agent.status["sourceError"])


def test_without_its_server_it_starts_with_what_it_kept(central: Central) -> None:
    agent, revision = central.agent, central.agent.status["revision"]
    agent.stop()
    rules = agent.rules()
    agent.nft("flush", "ruleset")
    agent.start(source="https://127.0.0.1:9/site.snapshot")
    agent.until(lambda: agent.status.get("revision") == revision and agent.status["sourceError"])
    assert rules == agent.rules()

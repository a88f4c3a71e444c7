"""Bodies of several gzip members, in both directions: each member may hold any part of the text."""

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.bed.asking import PATHS, ask, question, text_of
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, Send, chunk, head, say
from tests.bed.wire import PROTOCOLS, Protocol, Reply, body, records

TEXT = "A text that is long enough for several members"
PACKED = {"content-encoding": "gzip"}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say(TEXT)) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, server: ScriptedUpstream) -> Iterator[Daemon]:
    entries = [upstream(protocol, server.url, protocol, clients=[protocol]) for protocol in PROTOCOLS]
    with Daemon(tmp_path_factory.mktemp("members"), settings(*entries)) as running:
        yield running


def members(content: bytes) -> bytes:
    cut = len(content) // 2
    return gzip.compress(content[:cut]) + gzip.compress(b"") + gzip.compress(content[cut:])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_in_several_members_arrives_whole(
    daemon: Daemon, server: ScriptedUpstream, protocol: Protocol
) -> None:
    server.script(say(TEXT))
    sent = question(protocol, "m", TEXT)

    response = request(daemon.url, "POST", PATHS[protocol], members(json.dumps(sent).encode()), PACKED)

    assert (response.status, text_of(protocol, response)) == (200, TEXT)
    assert TEXT in server.requests[0].raw.decode()


def whole_in_members(request: Received) -> Script:
    packed = members(body(request.protocol, Reply(TEXT)))
    fields = {"content-type": "application/json", "content-length": str(len(packed))}
    return [head(200, fields | PACKED), Send(packed)]


def stream_in_members(request: Received) -> Script:
    """Some servers compress each event on its own."""
    fields = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    events = [Send(chunk(gzip.compress(one))) for one in records(request.protocol, Reply(TEXT), "m")]
    return [head(200, fields | PACKED), *events, Send(b"0\r\n\r\n")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_answer_in_several_members_arrives_whole(
    daemon: Daemon, server: ScriptedUpstream, protocol: Protocol, streamed: bool
) -> None:
    server.script(stream_in_members if streamed else whole_in_members)

    response = ask(daemon.url, protocol, stream=streamed)

    assert (response.status, text_of(protocol, response)) == (200, TEXT)
    assert daemon.journal()[-1]["outcome"] == "ok"

"""Citations of the web reach every client with the text that they are about, wherever they stand in the stream."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import StreamConversion, convert_response
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from tests.protocols.anthropic_messages.script import MST, bd, be, bs, md, ms
from tests.protocols.openai_chat import chunks as c
from tests.protocols.openai_responses import streams as r
from tests.protocols.validators import (
    check_chat_stream,
    check_messages_stream,
    check_responses_stream,
    records_of,
)

SIZES = (1, 7, 100, 1_000_000)
REQUEST = neutral.Request(
    "asked",
    (neutral.Message("user", (neutral.Text("please"),)),),
    hosted_tools=(neutral.HostedTool("web_search"),),
    stream=True,
    include_usage=True,
)
SENT = SentRequest(b"{}", Target("m", "issuer"))
CHECKS: dict[ProtocolName, Callable[[Any], None]] = {
    "messages": check_messages_stream,
    "chat": lambda records: check_chat_stream(records, include_usage=True),
    "responses": check_responses_stream,
}
Cited = list[tuple[str, str]]


def cites(index: int, url: str) -> bytes:
    return bd(index, {"type": "web_search_result_location", "url": url, "title": "T"}, "citations_delta")


def annotated(url: str) -> bytes:
    source = {"url": url, "title": "T", "start_index": 0, "end_index": 2}
    return c.delta(annotations=[{"type": "url_citation", "url_citation": source}])


def added(index: int, url: str) -> bytes:
    annotation = {"type": "url_citation", "url": url, "title": "T"}
    return r.event("response.output_text.annotation.added", output_index=index, annotation=annotation)


END = md("end_turn", {"output_tokens": 2}) + MST
STREAMS: list[tuple[str, ProtocolName, bytes, Cited]] = [
    (
        "before the text of its block",
        "messages",
        ms() + bs(0, "text") + cites(0, "a") + bd(0, "Hi") + bd(0, " you") + be(0) + END,
        [("a", "Hi you")],
    ),
    (
        "two before the text of the second block",
        "messages",
        ms()
        + bs(0, "text")
        + bd(0, "So: ")
        + be(0)
        + bs(1, "text")
        + cites(1, "a")
        + cites(1, "b")
        + bd(1, "Hi")
        + be(1)
        + END,
        [("a", "Hi"), ("b", "Hi")],
    ),
    (
        "between the pieces of the text",
        "messages",
        ms() + bs(0, "text") + bd(0, "H") + cites(0, "a") + bd(0, "i") + be(0) + END,
        [("a", "Hi")],
    ),
    (
        "in the first chunk, before any text",
        "chat",
        annotated("a") + c.text("Hi") + annotated("b") + c.finish("stop") + c.DONE,
        [("a", "Hi"), ("b", "Hi")],
    ),
    (
        "after reasoning, before the text",
        "chat",
        c.delta(reasoning="hm") + annotated("a") + c.text("Hi") + c.finish("stop") + c.DONE,
        [("a", "Hi")],
    ),
    (
        "before the first delta",
        "responses",
        r.created() + added(0, "a") + r.said(0, "Hi") + r.ended(),
        [("a", "Hi")],
    ),
]
PAIRS = [
    pytest.param(upstream, stream, cited, client, id=f"{upstream} to {client}: {name}")
    for name, upstream, stream, cited in STREAMS
    for client in PROTOCOLS
]


def in_messages(events: list[dict[str, Any]]) -> Cited:
    texts: dict[int, str] = {}
    urls = []
    for event in events:
        delta = event.get("delta", {})
        texts[event.get("index", 0)] = texts.get(event.get("index", 0), "") + delta.get("text", "")
        if delta.get("type") == "citations_delta":
            urls.append((event["index"], delta["citation"]["url"]))
    return [(url, texts[index]) for index, url in urls]


def in_chat(chunks: list[dict[str, Any]]) -> Cited:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    sources = [one["url_citation"] for delta in deltas for one in delta.get("annotations", ())]
    return [(source["url"], text[source["start_index"] : source["end_index"]]) for source in sources]


def in_responses(events: list[dict[str, Any]]) -> Cited:
    parts = [part for item in events[-1]["response"]["output"] for part in item.get("content", ())]
    return [
        (one["url"], part["text"][one["start_index"] : one["end_index"]])
        for part in parts
        for one in part["annotations"]
    ]


READERS: dict[ProtocolName, Callable[[list[dict[str, Any]]], Cited]] = {
    "messages": in_messages,
    "chat": in_chat,
    "responses": in_responses,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("upstream", "stream", "cited", "client"), PAIRS)
def test_a_citation_reaches_the_client_with_its_text(
    upstream: ProtocolName, stream: bytes, cited: Cited, client: ProtocolName, size: int
) -> None:
    conversion = StreamConversion(CODECS[upstream], CODECS[client], SENT, REQUEST)
    out = b"".join(conversion.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    CHECKS[client](records_of(out))
    events = [msgspec.json.decode(one.data) for one in records_of(out) if one.data.startswith(b"{")]
    assert READERS[client](events) == cited
    assert conversion.losses == ()


FOREIGN: list[tuple[ProtocolName, bytes]] = [
    (
        "messages",
        ms()
        + bs(0, "text")
        + bd(0, {"type": "char_location", "cited_text": "x", "document_index": 0}, "citations_delta")
        + bd(0, "Hi")
        + be(0)
        + END,
    ),
    ("chat", c.text("Hi") + c.delta(annotations=[{"type": "file_citation"}]) + c.finish("stop") + c.DONE),
    ("chat", annotated("a") + c.call(0, "t", "f", "{}") + c.finish("tool_calls") + c.DONE),
    (
        "responses",
        r.created()
        + r.said(0, "Hi")
        + r.event(
            "response.output_text.annotation.added", output_index=0, annotation={"type": "file_citation"}
        )
        + r.ended(),
    ),
]


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize(("upstream", "stream"), FOREIGN)
def test_a_citation_that_cannot_be_carried_is_reported_as_lost(
    upstream: ProtocolName, stream: bytes, client: ProtocolName
) -> None:
    conversion = StreamConversion(CODECS[upstream], CODECS[client], SENT, REQUEST)
    conversion.feed(stream)
    assert [loss.field for loss in conversion.losses] == ["citations"]
    whole = convert_response(CODECS[upstream], CODECS[client], stream, SENT, REQUEST)
    assert [loss.field for loss in whole.losses] == ["citations"]

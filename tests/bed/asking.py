"""The smallest request of each protocol, and how to read its responses."""

import http.client
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from tests.bed.daemon import Response, request
from tests.bed.patience import PATIENCE_SECONDS
from tests.bed.wire import Protocol

PATHS: dict[Protocol, str] = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}


def question(protocol: Protocol, model: str, text: str = "Hello", stream: bool = True) -> dict[str, Any]:
    """A body with the prompt `text`."""
    said = [{"role": "user", "content": text}]
    if protocol == "messages":
        return {"model": model, "max_tokens": 100, "messages": said, "stream": stream}
    return {"model": model, "messages" if protocol == "chat" else "input": said, "stream": stream}


def ask(
    url: str,
    protocol: Protocol,
    model: str = "m",
    text: str = "Hello",
    *,
    stream: bool = True,
    headers: dict[str, str] | None = None,
    seconds: float = PATIENCE_SECONDS,
) -> Response:
    body = question(protocol, model, text, stream)
    return request(url, "POST", PATHS[protocol], body, headers, seconds)


def watch(
    url: str,
    protocol: Protocol,
    notice: Callable[[bytes], object],
    model: str = "m",
    headers: dict[str, str] | None = None,
) -> Response:
    """`ask` for a stream; `notice` gets all that has come so far, each time when more comes."""
    parts, body = urlsplit(url), b""
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
    with closing(connection):
        connection.request("POST", PATHS[protocol], json.dumps(question(protocol, model)), headers or {})
        answer = connection.getresponse()
        while piece := answer.read1(65536):
            body += piece
            notice(body)
    return Response(answer.status, answer.getheaders(), body)


def text_of(protocol: Protocol, response: Response) -> str:
    """The text that a client would show."""
    streamed = (response.header("content-type") or "").startswith("text/event-stream")
    return _STREAMED[protocol](response.records) if streamed else _WHOLE[protocol](response.json)


def usage_of(protocol: Protocol, response: Response) -> dict[str, Any]:
    """The usage in the protocol's own form; of a Messages stream, both parts merged."""
    if not (response.header("content-type") or "").startswith("text/event-stream"):
        return dict(response.json["usage"])
    found: dict[str, Any] = {}
    for record in response.records:
        inside = record.get("message") or record.get("response") or record
        found |= inside.get("usage") or {}
    return found


def error_of(protocol: Protocol, response: Response) -> dict[str, Any]:
    """The error object of a whole response, in the protocol's own envelope."""
    document = json.loads(response.body)
    assert protocol != "messages" or document["type"] == "error", document
    return dict(document["error"])


def last_record(response: Response) -> dict[str, Any]:
    return response.records[-1]


ENDS = {
    "error": "failed",
    "response.failed": "failed",
    "message_stop": "finished",
    "response.completed": "finished",
    "response.incomplete": "finished",
}


def end_reported(record: dict[str, Any]) -> str:
    """The kind of end that an event of any protocol reports: "finished", "failed" or none."""
    if "choices" in record:
        return "finished" if any(choice.get("finish_reason") for choice in record["choices"]) else ""
    if "type" not in record:
        return "failed" if "error" in record else ""
    return ENDS.get(record["type"], "")


def _chat_text(records: list[dict[str, Any]]) -> str:
    deltas = [choice["delta"] for record in records for choice in record.get("choices", [])]
    return "".join(delta.get("content") or "" for delta in deltas)


_STREAMED: dict[Protocol, Callable[[list[dict[str, Any]]], str]] = {
    "messages": lambda records: "".join(record.get("delta", {}).get("text", "") for record in records),
    "chat": _chat_text,
    "responses": lambda records: "".join(
        record["delta"] for record in records if record["type"] == "response.output_text.delta"
    ),
}
_WHOLE: dict[Protocol, Callable[[dict[str, Any]], str]] = {
    "messages": lambda body: "".join(block.get("text", "") for block in body["content"]),
    "chat": lambda body: body["choices"][0]["message"]["content"] or "",
    "responses": lambda body: "".join(
        part.get("text", "")
        for item in body["output"]
        if item["type"] == "message"
        for part in item["content"]
    ),
}

"""Encode an answer for a Chat client, streamed or whole.

https://platform.openai.com/docs/api-reference/chat/streaming
https://platform.openai.com/docs/api-reference/chat/object
"""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.errors.table import error_record
from switchyard.protocols.fold import records_of
from switchyard.protocols.ids import new_id, openai_call_id
from switchyard.protocols.openai_chat.wire import finish_reason
from switchyard.protocols.sse import on_one_line, quoted
from switchyard.protocols.usage import chat_usage
from switchyard.protocols.wire import Json

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
EMPTY_ARGUMENTS = "{}"

_encode = msgspec.json.Encoder().encode


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The completion that a program puts together from the stream of this reply."""
    message: Json = {"role": "assistant", "content": "", "refusal": None, "annotations": []}
    reason, chunk = None, {}
    for chunk in records_of(StreamEncoder(replace(request, include_usage=True)), response):
        for choice in chunk["choices"]:
            _extend(message, choice["delta"])
            reason = choice["finish_reason"]
    if not message["content"] and (message["refusal"] or "tool_calls" in message):
        message["content"] = None
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return msgspec.json.encode({**chunk, "object": "chat.completion", "choices": [choice]})


def _extend(message: Json, delta: Json) -> None:
    for field, piece in delta.items():
        match field:
            case "annotations":
                message[field] += piece
            case "tool_calls":
                _extend_call(message.setdefault(field, []), piece[0])
            case "content" | "refusal" | "reasoning_content":
                message[field] = (message.get(field) or "") + piece


def _extend_call(calls: list[Json], fragment: Json) -> None:
    if fragment.pop("index") == len(calls):
        calls.append(fragment)
        return
    for kind, piece in fragment.items():
        for field, text in piece.items():
            calls[-1][kind][field] += text


class StreamEncoder:
    """Events in, records out; after the end nothing more.

    All chunks share their head and tail, so that a text delta is three byte strings joined.
    """

    def __init__(self, request: neutral.Request) -> None:
        self._include_usage = request.include_usage
        self._id = new_id("chatcmpl-")
        self._head = _head(self._id, request)
        self._tail = b"}]" + (b',"usage":null' if self._include_usage else b"") + b"}\n\n"
        self._delta_head = self._head + b'[{"index":0,"delta":'
        self._delta_tail = b',"logprobs":null,"finish_reason":null' + self._tail
        self._prefix = self._suffix = b""
        self._calls = -1
        self._citations: list[neutral.Citation] = []
        self._arguments_text = True
        self._text_length = self._text_start = 0
        self._measures = self._refused = self._ended = False

    def encode(self, event: neutral.Event) -> bytes:
        if type(event) is neutral.Delta:
            return self._delta(event.text)
        return b"" if self._ended else self._other[type(event)](self, event)

    def keep_alive(self) -> bytes:
        return KEEP_ALIVE

    def _delta(self, text: str) -> bytes:
        if not self._prefix or not text:
            return b""
        self._arguments_text = True
        if self._measures:
            self._text_length += len(text)
        return self._prefix + quoted(text) + self._suffix

    def _start(self, event: neutral.Started) -> bytes:
        return self._chunk(b'{"role":"assistant","content":""}')

    def _start_block(self, event: neutral.BlockStarted) -> bytes:
        self._measures = False
        match event.block:
            case neutral.Text():
                self._measures = True
                self._text_start = self._text_length
                self._set_field(b'{"content":', b"}")
            case neutral.Thinking():
                self._set_field(b'{"reasoning_content":', b"}")
            case neutral.Refusal():
                self._refused = True
                self._set_field(b'{"refusal":', b"}")
            case neutral.ToolCall() as call:
                return self._start_call(call)
            case _:
                self._prefix = b""
        return b""

    def _start_call(self, call: neutral.ToolCall) -> bytes:
        self._calls += 1
        self._arguments_text = call.kind == "custom"
        kind, field = (b"custom", b"input") if call.kind == "custom" else (b"function", b"arguments")
        at = b'{"tool_calls":[{"index":%d' % self._calls
        self._set_field(b'%b,"%b":{"%b":' % (at, kind, field), b"}}]}")
        return self._chunk(
            b'%b,"id":%b,"type":"%b","%b":{"name":%b,"%b":""}}]}'
            % (at, quoted(openai_call_id(call.id)), kind, kind, quoted(call.name), field)
        )

    def _cite(self, citation: neutral.Citation) -> bytes:
        self._citations.append(citation)
        return b""

    def _end_block(self, event: neutral.BlockEnded) -> bytes:
        owed = b"" if self._arguments_text or not event.complete else self._delta(EMPTY_ARGUMENTS)
        self._prefix = b""
        self._arguments_text = True
        return owed + self._cited() if self._citations else owed

    def _cited(self) -> bytes:
        """Annotations follow the text that they are about, as only then its place is known."""
        annotations = [self._annotation(citation) for citation in self._citations]
        self._citations = []
        return self._chunk(b'{"annotations":%b}' % on_one_line(_encode(annotations)))

    def _annotation(self, citation: neutral.Citation) -> Json:
        place = {"start_index": self._text_start, "end_index": self._text_length}
        source = {**place, "title": citation.title, "url": citation.url}
        return {"type": "url_citation", "url_citation": source}

    def _finish(self, event: neutral.Finished) -> bytes:
        self._ended = True
        reason = finish_reason(event.stop_reason, refused=self._refused)
        last = b'%b{},"logprobs":null,"finish_reason":"%b"%b' % (
            self._delta_head,
            reason.encode(),
            self._tail,
        )
        return last + self._usage_chunk(event.usage) + DONE

    def _usage_chunk(self, usage: neutral.Usage | None) -> bytes:
        if not self._include_usage:
            return b""
        return b'%b[],"usage":%b}\n\n' % (
            self._head,
            on_one_line(_encode(chat_usage(usage or neutral.Usage()))),
        )

    def _fail(self, event: neutral.Failed) -> bytes:
        self._ended = True
        return error_record("chat", event.error)

    def _chunk(self, delta: bytes) -> bytes:
        return self._delta_head + delta + self._delta_tail

    def _set_field(self, opening: bytes, closing: bytes) -> None:
        self._prefix = self._delta_head + opening
        self._suffix = closing + self._delta_tail

    _other: ClassVar[dict[type, Callable[["StreamEncoder", Any], bytes]]] = {
        neutral.Started: _start,
        neutral.BlockStarted: _start_block,
        neutral.Citation: _cite,
        neutral.BlockEnded: _end_block,
        neutral.Finished: _finish,
        neutral.Failed: _fail,
    }


def _head(id: str, request: neutral.Request) -> bytes:
    """All of a chunk before its choices."""
    return b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":' % (
        quoted(id),
        request.received_at,
        quoted(request.model),
    )

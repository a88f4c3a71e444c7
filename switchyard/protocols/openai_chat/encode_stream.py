"""Encode an answer for a Chat client, streamed or whole.

https://platform.openai.com/docs/api-reference/chat/streaming
https://platform.openai.com/docs/api-reference/chat/object
"""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.errors.table import error_record
from switchyard.protocols.ids import new_id, openai_call_id
from switchyard.protocols.openai_chat.wire import finish_reason
from switchyard.protocols.runs import Texts
from switchyard.protocols.sse import on_one_line, quoted
from switchyard.protocols.usage import chat_usage
from switchyard.protocols.wire import Json

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
EMPTY_ARGUMENTS = "{}"
FUNCTION, CUSTOM = ("function", "arguments"), ("custom", "input")
"""The type of a call, and the field that has its text."""

_encode = msgspec.json.Encoder().encode


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The completion that a program puts together from the stream of this reply."""
    refused = any(isinstance(block, neutral.Refusal) for block in response.content)
    choice = {
        "index": 0,
        "message": _message(response),
        "logprobs": None,
        "finish_reason": finish_reason(response.stop_reason, refused=refused),
    }
    completion = {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": request.received_at,
        "model": request.model,
        "choices": [choice],
        "usage": chat_usage(response.usage or neutral.Usage()),
    }
    return _encode(completion)


def _message(response: neutral.Response) -> Json:
    """Texts of one kind run on; `content` is null where a refusal or calls stand for it."""
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[str] = []
    calls: list[Json] = []
    annotations: list[Json] = []
    start = length = 0
    for position, block in enumerate(response.content):
        match block:
            case neutral.Text(text):
                texts.append(text)
                start, length = length, length + len(text)
            case neutral.Refusal(text):
                refusals.append(text)
            case neutral.Thinking(text):
                thoughts.append(text)
            case neutral.ToolCall():
                owes_object = block.kind != "custom" and block.id not in response.incomplete
                calls.append(_call(block, block.arguments or (EMPTY_ARGUMENTS if owes_object else "")))
        for citation in response.citations.get(position, ()):
            annotations.append(_annotation(citation, start, length))
    content, refusal = "".join(texts), "".join(refusals) or None
    message: Json = {"role": "assistant", "content": content, "refusal": refusal, "annotations": annotations}
    if not content and (refusal or calls):
        message["content"] = None
    if thought := "".join(thoughts):
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    return message


def _call(call: neutral.ToolCall, text: str) -> Json:
    kind, field = CUSTOM if call.kind == "custom" else FUNCTION
    return {"id": openai_call_id(call.id), "type": kind, kind: {"name": call.name, field: text}}


def _annotation(citation: neutral.Citation, start: int, end: int) -> Json:
    source = {"start_index": start, "end_index": end, "title": citation.title, "url": citation.url}
    return {"type": "url_citation", "url_citation": source}


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

    def encode_texts(self, texts: Texts) -> bytes:
        if not self._prefix:
            return b""
        self._arguments_text = True
        if self._measures:
            self._text_length += sum(map(len, texts.words))
        start, end = self._prefix + b'"', b'"' + self._suffix
        return start + (end + start).join(texts.quoted) + end

    def keep_alive(self) -> bytes:
        return KEEP_ALIVE

    def _delta(self, text: str) -> bytes:
        if not self._prefix or not text:
            return b""
        self._arguments_text = True
        if self._measures:
            self._text_length += len(text)
        return self._prefix + quoted(text) + self._suffix

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
        kind, field = CUSTOM if call.kind == "custom" else FUNCTION
        opening = f'{{"tool_calls":[{{"index":{self._calls},"{kind}":{{"{field}":'
        self._set_field(opening.encode(), b"}}]}")
        fragment = {"index": self._calls, **_call(call, "")}
        return self._chunk(b'{"tool_calls":[%b]}' % on_one_line(_encode(fragment)))

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
        start, end = self._text_start, self._text_length
        annotations = [_annotation(citation, start, end) for citation in self._citations]
        self._citations = []
        return self._chunk(b'{"annotations":%b}' % on_one_line(_encode(annotations)))

    def _finish(self, event: neutral.Finished) -> bytes:
        self._ended = True
        reason = finish_reason(event.stop_reason, refused=self._refused).encode()
        last = b'%b{},"logprobs":null,"finish_reason":"%b"%b' % (self._delta_head, reason, self._tail)
        if self._include_usage:
            usage = on_one_line(_encode(chat_usage(event.usage or neutral.Usage())))
            last += b'%b[],"usage":%b}\n\n' % (self._head, usage)
        return last + DONE

    def _fail(self, event: neutral.Failed) -> bytes:
        self._ended = True
        return error_record("chat", event.error)

    def _chunk(self, delta: bytes) -> bytes:
        return self._delta_head + delta + self._delta_tail

    def _set_field(self, opening: bytes, closing: bytes) -> None:
        self._prefix = self._delta_head + opening
        self._suffix = closing + self._delta_tail

    _other: ClassVar[dict[type, Callable[["StreamEncoder", Any], bytes]]] = {
        neutral.Started: lambda self, _: self._chunk(b'{"role":"assistant","content":""}'),
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

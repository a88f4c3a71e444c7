"""Encode an answer for a Messages client, streamed or whole.

https://platform.claude.com/docs/en/build-with-claude/streaming
https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.encode_request import text_block
from switchyard.protocols.anthropic_messages.signatures import is_redacted, sealed
from switchyard.protocols.anthropic_messages.wire import FABRICATED_SEARCH_ID, STOP_WORDS, arguments_of
from switchyard.protocols.content import summary_in
from switchyard.protocols.errors.table import error_record
from switchyard.protocols.ids import anthropic_call_id, new_id
from switchyard.protocols.neutral import Delta, StopReason
from switchyard.protocols.runs import Texts
from switchyard.protocols.sse import encode, quoted
from switchyard.protocols.usage import anthropic_usage
from switchyard.protocols.walk import settled
from switchyard.protocols.wire import Json, may_become_json

PING = encode(b'{"type":"ping"}', "ping")
MESSAGE_STOP = encode(b'{"type":"message_stop"}', "message_stop")
DELTA_END = b"}}\n\n"

_encode_json = msgspec.json.encode


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The message that a program puts together from the stream of this reply."""
    return _encode_json(StreamEncoder(request).whole(response))


class StreamEncoder:
    """Writes one block after the other. Text and thinking open with their first piece: none stays empty."""

    _index = _searches = 0
    _opening = _delta_start = _owed = b""
    _is_plain = _called = False
    _block: neutral.Block | None = None
    _usage: neutral.Usage | None = None
    _held: list[str] | None = None

    def __init__(self, request: neutral.Request) -> None:
        self._model = request.model
        self._omits_thinking = request.reasoning.is_omitted
        self._searches_are_wanted = "web_search" in [tool.name for tool in request.hosted_tools]
        self._refusal: list[str] = []

    def encode(self, event: neutral.Event) -> bytes:
        if self._is_plain and type(event) is Delta:
            return self._delta_start + quoted(event.text) + DELTA_END
        owed, self._owed = self._owed, b""
        written = WRITERS[type(event)](self, event)
        # a block that broke off with the stream gets no end
        return written if isinstance(event, neutral.Failed) else owed + written

    def encode_texts(self, texts: Texts) -> bytes:
        if not self._is_plain:
            return b"".join([self.encode(Delta(text)) for text in texts.words])
        start, end = self._delta_start + b'"', b'"' + DELTA_END
        return start + (end + start).join(texts.quoted) + end

    def keep_alive(self) -> bytes:
        """Clients skip it even before `message_start`."""
        return PING

    def whole(self, response: neutral.Response) -> Json:
        """What all records of this reply add up to, without writing them."""
        message = self._message()
        for index, block in enumerate(response.content):
            message["content"] += self._whole_blocks(block, response.citations.get(index, ()))
        message |= self._ending(response.stop_reason, response.stop_sequence)
        return message | {"usage": self._reported(response.usage)}

    def _whole_blocks(self, block: neutral.Block, citations: tuple[neutral.Citation, ...]) -> list[Json]:
        match block:
            case neutral.Text(text) if citations and self._searches_are_wanted:
                return [{**text_block(text), "citations": [_citation_of(citation) for citation in citations]}]
            case neutral.Text(text) | neutral.Refusal(text):
                if isinstance(block, neutral.Refusal):
                    self._refusal.append(text)
                return [text_block(text)] if text else []
            case neutral.Thinking(text, signature):
                return [self._thinking(text, signature)] if text or signature is not None else []
            case neutral.ToolCall():
                return [{**self._call(block), "input": arguments_of(block.arguments)}]
            case neutral.WebSearch() if self._searches_are_wanted:
                return list(self._search_blocks(block))
            case neutral.Compaction(payload) if (summary := summary_in(payload)) is not None:
                return [{"type": "compaction", "content": summary}]
        return []

    def _thinking(self, text: str, signature: neutral.Signature | None) -> Json:
        if not text and signature is not None and self._is_redacted(signature):
            return {"type": "redacted_thinking", "data": sealed(signature)}
        return {"type": "thinking", "thinking": text, "signature": sealed(signature)}

    def _is_redacted(self, signature: neutral.Signature) -> bool:
        """Thinking of which the client wants to see nothing has no text either, but is not redacted."""
        return is_redacted(signature) and not self._omits_thinking

    def _started(self, event: neutral.Started) -> bytes:
        self._usage = event.usage
        usage = anthropic_usage(event.usage or neutral.Usage())
        return _record({"type": "message_start", "message": self._message() | {"usage": usage}})

    def _message(self) -> Json:
        return {
            "id": new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _block_started(self, event: neutral.BlockStarted) -> bytes:
        self._block = block = event.block
        match block:
            case neutral.Text() | neutral.Refusal():
                self._prepare(text_block(""), "text_delta", "text")
            case neutral.Thinking():
                start = {"type": "thinking", "thinking": "", "signature": ""}
                self._prepare(start, "thinking_delta", "thinking")
            case neutral.ToolCall():
                return self._call_started(block)
            case neutral.WebSearch() if self._searches_are_wanted:
                return self._search(block)
            case neutral.Compaction(payload) if (summary := summary_in(payload)) is not None:
                return self._compaction(summary)
        return b""

    def _call_started(self, call: neutral.ToolCall) -> bytes:
        self._prepare(self._call(call), "input_json_delta", "partial_json")
        self._held = []
        return self._taken_opening() + self._delta_start + b'""' + DELTA_END

    def _call(self, call: neutral.ToolCall) -> Json:
        self._called = True
        id = anthropic_call_id(call.id) if call.id else new_id("toolu_")
        return {"type": "tool_use", "id": id, "name": call.name, "input": {}}

    def _prepare(self, start: Json, delta: str, field: str) -> None:
        """The records of this block, as far as they are known before its content is."""
        index = self._index
        self._opening = _record({"type": "content_block_start", "index": index, "content_block": start})
        self._delta_start = (
            f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},'
            f'"delta":{{"type":"{delta}","{field}":'
        ).encode()

    def _taken_opening(self) -> bytes:
        opening, self._opening = self._opening, b""
        return opening

    def _delta(self, event: Delta) -> bytes:
        """A piece that is not simply passed on: the first of a block, held arguments, a refusal."""
        text = event.text
        if isinstance(self._block, neutral.Refusal):
            self._refusal.append(text)
        if self._held is not None:
            self._held.append(text)
            text = "".join(self._held)
            if not (text.lstrip().startswith("{") and may_become_json(text)):
                return b""
            self._held = None
        if not text or self._block is None:
            return b""
        self._is_plain = not isinstance(self._block, neutral.Refusal)
        return self._taken_opening() + self._delta_start + quoted(text) + DELTA_END

    def _citation(self, event: neutral.Citation) -> bytes:
        if not self._searches_are_wanted or not isinstance(self._block, neutral.Text):
            return b""
        delta = {"type": "citations_delta", "citation": _citation_of(event)}
        return self._taken_opening() + self._block_delta(delta)

    def _block_ended(self, event: neutral.BlockEnded) -> bytes:
        block, self._block = self._block, None
        opening = self._taken_opening()
        self._is_plain = False
        before = b""
        match block:
            case neutral.Thinking():
                signature = event.signature
                if opening and signature is None:
                    return b""
                if opening and signature is not None and self._is_redacted(signature):
                    return self._whole_block(self._thinking("", signature))
                signed = {"type": "signature_delta", "signature": sealed(signature)}
                before = opening + self._block_delta(signed)
            case neutral.ToolCall():
                before = self._held_arguments()
            case neutral.Text() | neutral.Refusal() if not opening:
                pass
            case _:
                return b""
        stop = before + self._block_stop()
        if event.complete:
            return stop
        self._owed = stop
        return b""

    def _block_delta(self, delta: Json) -> bytes:
        return _record({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _held_arguments(self) -> bytes:
        """Arguments that did not begin like an object, as the object they are made into."""
        held, self._held = "".join(self._held or ()), None
        if not held.strip():
            return b""
        return self._delta_start + quoted(bytes(arguments_of(held)).decode()) + DELTA_END

    def _block_stop(self) -> bytes:
        stop = _record({"type": "content_block_stop", "index": self._index})
        self._index += 1
        return stop

    def _whole_block(self, block: Json) -> bytes:
        start = _record({"type": "content_block_start", "index": self._index, "content_block": block})
        return start + self._block_stop()

    def _compaction(self, summary: str) -> bytes:
        self._prepare({"type": "compaction", "content": None}, "compaction_delta", "content")
        return self._taken_opening() + self._delta_start + quoted(summary) + DELTA_END + self._block_stop()

    def _search(self, search: neutral.WebSearch) -> bytes:
        use, result = self._search_blocks(search)
        query, use["input"] = use["input"], {}
        self._prepare(use, "input_json_delta", "partial_json")
        asked = self._taken_opening() + self._delta_start + quoted(_encode_json(query).decode()) + DELTA_END
        return asked + self._block_stop() + self._whole_block(result)

    def _search_blocks(self, search: neutral.WebSearch) -> tuple[Json, Json]:
        """Another vendor's search as this vendor reports its own: the question and what was found."""
        self._searches += not search.error
        id = new_id(FABRICATED_SEARCH_ID)
        found: Json | list[Json] = [
            {
                "type": "web_search_result",
                "url": source.url,
                "title": source.title,
                "encrypted_content": "",
                "page_age": None,
            }
            for source in search.sources
        ]
        if search.error:
            found = {"type": "web_search_tool_result_error", "error_code": search.error}
        use = {"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": search.query}}
        return use, {"type": "web_search_tool_result", "tool_use_id": id, "content": found}

    def _finished(self, event: neutral.Finished) -> bytes:
        usage = self._usage or neutral.Usage()
        if event.usage is not None:
            usage = usage.merged(event.usage)
        delta = self._ending(event.stop_reason, event.stop_sequence)
        last = {"type": "message_delta", "delta": delta, "usage": self._reported(usage)}
        return _record(last) + MESSAGE_STOP

    def _ending(self, stop_reason: StopReason, stop_sequence: str | None) -> Json:
        reason = settled(stop_reason, called=self._called)
        sequence = stop_sequence if reason is StopReason.STOP_SEQUENCE else None
        ending: Json = {"stop_reason": STOP_WORDS[reason], "stop_sequence": sequence}
        if reason is StopReason.REFUSAL:
            explanation = "".join(self._refusal) or None
            ending["stop_details"] = {"type": "refusal", "category": None, "explanation": explanation}
        return ending

    def _reported(self, usage: neutral.Usage | None) -> Json:
        reported = anthropic_usage(usage or neutral.Usage())
        if self._searches:
            reported["server_tool_use"] = {"web_search_requests": self._searches}
        return reported


WRITERS: Mapping[type, Callable[[StreamEncoder, Any], bytes]] = {
    neutral.Started: StreamEncoder._started,
    neutral.BlockStarted: StreamEncoder._block_started,
    neutral.Delta: StreamEncoder._delta,
    neutral.Citation: StreamEncoder._citation,
    neutral.BlockEnded: StreamEncoder._block_ended,
    neutral.Finished: StreamEncoder._finished,
    neutral.Failed: lambda _, event: error_record("messages", event.error),
}


def _citation_of(citation: neutral.Citation) -> Json:
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited_text,
        "encrypted_index": "",
    }


def _record(event: Json) -> bytes:
    return encode(_encode_json(event), event["type"])

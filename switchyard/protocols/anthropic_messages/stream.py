"""Messages streams: an upstream's events read, a client's events written.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.decode_request import sources_of
from switchyard.protocols.anthropic_messages.signatures import REDACTED, is_redacted, sealed
from switchyard.protocols.anthropic_messages.wire import (
    FABRICATED_SEARCH_ID,
    STOP_REASONS,
    STOP_WORDS,
    WireDelta,
    WireEvent,
    arguments_of,
    error_of,
    may_become_object,
    read_event,
)
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.table import error_record
from switchyard.protocols.ids import anthropic_call_id, new_id
from switchyard.protocols.neutral import Delta, ErrorType, StopReason, WireError
from switchyard.protocols.sse import Record, encode, on_one_line
from switchyard.protocols.tools.calls import raised_arguments, raised_call
from switchyard.protocols.usage import anthropic_usage, usage_of_anthropic
from switchyard.protocols.wire import decode_object

Events = list[neutral.Event]

BROKEN_OFF = WireError(ErrorType.SERVER, "The upstream's stream ended before the answer was complete.", 502)

NAMELESS = WireError(ErrorType.SERVER, "The upstream called a tool without naming it.", 502)

CUT_OFF = frozenset({StopReason.MAX_TOKENS, StopReason.CONTEXT_WINDOW})
"""Reasons after which the last tool call may lack its end."""
REGULAR_STOPS = frozenset({StopReason.END_TURN, StopReason.STOP_SEQUENCE, StopReason.PAUSE})
"""After these the client still has to run the tools that were called."""


# --- reading ------------------------------------------------------------------

DELTAS: Mapping[str, tuple[str, str]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("tool", "partial_json"),
}
"""Which kind of block a delta belongs to, and the field that holds the piece."""


class _Block:
    """A block between its start and its end. `given` is content that the start already brought."""

    __slots__ = ("announced", "ended", "given", "index", "kind", "opening", "pieces", "signature", "tool")

    def __init__(
        self, kind: str, index: int, opening: neutral.Text | neutral.Thinking | neutral.ToolCall
    ) -> None:
        self.kind = kind
        self.index = index
        self.opening = opening
        self.pieces: list[str] = []
        self.given = ""
        self.signature: neutral.Signature | None = None
        self.tool: neutral.Tool | None = None
        self.announced = False
        self.ended = False

    @property
    def is_held(self) -> bool:
        """True if the pieces must be seen whole before they can be told."""
        return self.tool is not None and self.tool.kind == "custom"

    @property
    def arguments(self) -> str:
        return "".join(self.pieces) or self.given

    def is_whole(self) -> bool:
        """True if nothing can follow: text and thinking never wait, a call waits for its closing brace."""
        return self.kind != "tool" or decode_object(self.arguments.encode("utf-8", "replace")) is not None


class StreamDecoder:
    """Puts right what imitators get wrong: blocks not closed or overlapping, starts missing or repeated,
    several ends, content inside the start of a block. Without `message_stop` the answer is whole only if its
    stop reason was told.
    """

    def __init__(self, sent: SentRequest) -> None:
        self._tools = sent.tools
        self._issuer = sent.target.issuer
        self._started = False
        self._over = False
        self._live: _Block | None = None
        self._waiting: list[_Block] = []
        self._queries: dict[str, str] = {}
        self._query_of: dict[int, str] = {}
        self._usage: neutral.Usage | None = None
        self._stop: StopReason | None = None
        self._stop_sequence: str | None = None
        self._ending = False
        self._explanation = ""
        self._called = False

    def decode(self, record: Record) -> Events:
        event = read_event(record)
        return self.take(event) if event is not None else []

    def take(self, event: WireEvent) -> Events:
        if self._over:
            return []
        out: Events = []
        read = READERS.get(event.type)
        if read is not None:
            read(self, event, out)
        elif event.error:
            self._fail_with(event, out)
        return out

    def close(self) -> Events:
        out: Events = []
        if not self._over:
            if self._stop is not None:
                self._finish(out)
            else:
                self.fail(BROKEN_OFF, out)
        return out

    @property
    def is_complete(self) -> bool:
        return self._stop is not None and self._usage is not None

    def fail(self, error: WireError, out: Events) -> None:
        self._over = True
        self._waiting = []
        if self._live is not None and self._live.announced:
            out.append(neutral.BlockEnded(complete=False))
        self._live = None
        out.append(neutral.Failed(error))

    # --- the message

    def _message_start(self, event: WireEvent, out: Events) -> None:
        message = event.message or {}
        self._learn_usage(message.get("usage"))
        if not self._started:
            self._started = True
            id, model = message.get("id"), message.get("model")
            out.append(
                neutral.Started(
                    id if isinstance(id, str) else "", model if isinstance(model, str) else "", self._usage
                )
            )

    def _message_delta(self, event: WireEvent, out: Events) -> None:
        self._start(out)
        self._ending = True
        self._learn_usage(event.usage)
        delta = event.delta
        if delta is None or not delta.stop_reason:
            return
        self._stop = STOP_REASONS.get(delta.stop_reason, StopReason.END_TURN)
        self._stop_sequence = delta.stop_sequence
        explanation = (delta.stop_details or {}).get("explanation")
        self._explanation = explanation if isinstance(explanation, str) else ""

    def _message_stop(self, event: WireEvent, out: Events) -> None:
        self._start(out)
        self._finish(out)

    def _fail_with(self, event: WireEvent, out: Events) -> None:
        self.fail(error_of(event), out)

    def _start(self, out: Events) -> None:
        if not self._started:
            self._message_start(WireEvent(), out)

    def _learn_usage(self, raw: object) -> None:
        if isinstance(raw, dict):
            usage = usage_of_anthropic(raw)
            self._usage = usage if self._usage is None else self._usage.merged(usage)

    def _finish(self, out: Events) -> None:
        self._over = True
        reason = self._reason()
        while self._live is not None:
            cut = reason in CUT_OFF and not self._waiting and not self._live.is_whole()
            self._close_live(out, complete=not cut)
        if reason is StopReason.REFUSAL and self._explanation:
            explanation = self._explanation
            out += (neutral.BlockStarted(neutral.Refusal("")), Delta(explanation), neutral.BlockEnded())
        out.append(neutral.Finished(reason, self._usage, self._stop_sequence))

    def _reason(self) -> StopReason:
        """The told reason, put right where it contradicts the content."""
        if self._stop is None:
            if self._called:
                return StopReason.TOOL_USE
            # an end with a null reason is how vLLM tells that a filter stopped the answer
            return StopReason.REFUSAL if self._ending else StopReason.END_TURN
        if self._stop in REGULAR_STOPS and self._called:
            self._stop_sequence = None
            return StopReason.TOOL_USE
        if self._stop is StopReason.TOOL_USE and not self._called:
            return StopReason.END_TURN
        return self._stop

    # --- the blocks

    def _block_start(self, event: WireEvent, out: Events) -> None:
        self._start(out)
        block = event.content_block or {}
        start = STARTS.get(str(block.get("type")))
        if start is not None:
            start(self, event.index, block, out)

    def _start_text(self, index: int, block: dict[str, Any], out: Events) -> None:
        self._open(_Block("text", index, neutral.Text("")), out)
        self._append(index, "text", _string(block, "text"), out)

    def _start_thinking(self, index: int, block: dict[str, Any], out: Events) -> None:
        opened = _Block("thinking", index, neutral.Thinking(""))
        self._open(opened, out)
        self._append(index, "thinking", _string(block, "thinking"), out)
        if signature := _string(block, "signature"):
            opened.signature = neutral.Signature(signature, self._issuer)

    def _start_redacted(self, index: int, block: dict[str, Any], out: Events) -> None:
        opened = _Block("thinking", index, neutral.Thinking("", redacted=True))
        opened.signature = neutral.Signature(REDACTED + _string(block, "data"), self._issuer)
        self._open(opened, out)

    def _start_tool(self, index: int, block: dict[str, Any], out: Events) -> None:
        name = _string(block, "name")
        if not name:
            self.fail(NAMELESS, out)
            return
        if self._is_repeated(index, _string(block, "id")):
            return
        call = raised_call(_string(block, "id") or new_id("toolu_"), name, self._tools)
        opened = _Block("tool", index, call)
        opened.tool = self._tools.get(name)
        given = block.get("input")
        opened.given = msgspec.json.encode(given).decode() if given else ""
        self._called = True
        self._open(opened, out)

    def _is_repeated(self, index: int, id: str) -> bool:
        block = self._find(index, "tool")
        return block is not None and isinstance(block.opening, neutral.ToolCall) and block.opening.id == id

    def _start_search(self, index: int, block: dict[str, Any], out: Events) -> None:
        if block.get("name") == "web_search":
            given = block.get("input")
            self._query_of[index] = id = _string(block, "id")
            self._queries[id] = msgspec.json.encode(given).decode() if given else ""

    def _start_search_result(self, index: int, block: dict[str, Any], out: Events) -> None:
        self._flush(out)
        id = _string(block, "tool_use_id")
        asked = decode_object(self._queries.pop(id, "").encode("utf-8", "replace")) or {}
        search = neutral.WebSearch(id, _string(asked, "query"), sources_of(block.get("content")))
        out += (neutral.BlockStarted(search), neutral.BlockEnded())

    def _block_delta(self, event: WireEvent, out: Events) -> None:
        delta = event.delta
        if delta is None:
            return
        known = DELTAS.get(delta.type)
        if known is None:
            self._other_delta(event.index, delta, out)
            return
        kind, field = known
        piece = getattr(delta, field)
        live = self._live
        if live is not None and live.index == event.index and live.kind == kind and live.announced:
            if piece:
                if kind == "tool":
                    live.pieces.append(piece)
                    if live.is_held:
                        return
                out.append(Delta(piece))
        elif piece:
            self._append(event.index, kind, piece, out)

    def _other_delta(self, index: int, delta: WireDelta, out: Events) -> None:
        if delta.type == "signature_delta" and delta.signature:
            block = self._find(index, "thinking")
            if block is not None:
                block.signature = neutral.Signature(delta.signature, self._issuer)
        elif delta.type == "citations_delta" and delta.citation and self._live is not None:
            url = _string(delta.citation, "url")
            if url and self._live.kind == "text" and self._live.announced:
                title, cited = _string(delta.citation, "title"), _string(delta.citation, "cited_text")
                out.append(neutral.Citation(url, title, cited))

    def _block_stop(self, event: WireEvent, out: Events) -> None:
        self._query_of.pop(event.index, None)
        block = self._find(event.index)
        if block is None:
            return
        block.ended = True
        # a call without arguments or closing brace is judged by what follows, at the end by the stop reason
        if block is self._live and block.is_whole():
            self._close_live(out)

    def _append(self, index: int, kind: str, piece: str, out: Events) -> None:
        """Add a piece to its block, opening it first if its start is missing or was of another kind."""
        if not piece:
            return
        if kind == "tool" and index in self._query_of:
            self._queries[self._query_of[index]] += piece
            return
        self._start(out)
        block = self._find(index, kind)
        if block is None:
            if kind == "tool":
                # arguments of a call that never told its name
                return
            block = _Block(kind, index, neutral.Text("") if kind == "text" else neutral.Thinking(""))
            self._open(block, out)
        if block is self._live:
            self._announce(block, out)
            if kind != "tool" or not block.is_held:
                out.append(Delta(piece))
        if kind == "tool" or block is not self._live:
            block.pieces.append(piece)

    def _find(self, index: int, kind: str | None = None) -> _Block | None:
        blocks = (*self._waiting[::-1], *([self._live] if self._live else ()))
        found = (block for block in blocks if block.index == index and not block.ended)
        return next((block for block in found if kind is None or block.kind == kind), None)

    def _open(self, block: _Block, out: Events) -> None:
        live = self._live
        if live is not None and (live.ended or live.index == block.index or live.is_whole()):
            self._close_live(out)
        if self._live is not None:
            self._waiting.append(block)
            return
        self._live = block
        if block.kind == "tool":
            self._announce(block, out)

    def _announce(self, block: _Block, out: Events) -> None:
        """Tell the start: for text and thinking only once there is something in it."""
        if not block.announced:
            block.announced = True
            out.append(neutral.BlockStarted(block.opening))

    def _close_live(self, out: Events, *, complete: bool = True) -> None:
        """End the live block; the next one that waits takes its place."""
        block, self._live = self._live, None
        if block is None:
            return
        if block.kind == "tool":
            if complete or block.arguments:
                self._emit_arguments(block, out)
        elif block.signature is not None:
            self._announce(block, out)
        if block.announced:
            out.append(neutral.BlockEnded(block.signature, complete))
        if self._waiting:
            self._promote(self._waiting.pop(0), out)

    def _promote(self, block: _Block, out: Events) -> None:
        self._live = block
        if block.kind == "tool":
            self._announce(block, out)
            if block.pieces and not block.is_held:
                out.append(Delta("".join(block.pieces)))
        elif block.pieces:
            self._announce(block, out)
            out.append(Delta("".join(block.pieces)))
        if block.ended and (self._waiting or block.is_whole() or not block.arguments):
            self._close_live(out)

    def _emit_arguments(self, block: _Block, out: Events) -> None:
        """What the deltas have not told: unwrapped input, arguments given in the start, the empty object."""
        if block.is_held or not block.pieces:
            arguments = raised_arguments(block.arguments, block.tool)
            if arguments:
                out.append(Delta(arguments))

    def _flush(self, out: Events) -> None:
        while self._live is not None:
            self._close_live(out)


def _string(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


READERS: Mapping[str, Callable[[StreamDecoder, WireEvent, Events], None]] = {
    "message_start": StreamDecoder._message_start,
    "content_block_start": StreamDecoder._block_start,
    "content_block_delta": StreamDecoder._block_delta,
    "content_block_stop": StreamDecoder._block_stop,
    "message_delta": StreamDecoder._message_delta,
    "message_stop": StreamDecoder._message_stop,
    "error": StreamDecoder._fail_with,
}
STARTS: Mapping[str, Callable[[StreamDecoder, int, dict[str, Any], Events], None]] = {
    "text": StreamDecoder._start_text,
    "thinking": StreamDecoder._start_thinking,
    "redacted_thinking": StreamDecoder._start_redacted,
    "tool_use": StreamDecoder._start_tool,
    "server_tool_use": StreamDecoder._start_search,
    "web_search_tool_result": StreamDecoder._start_search_result,
}


# --- writing ------------------------------------------------------------------

PING = encode(b'{"type":"ping"}', "ping")
MESSAGE_STOP = encode(b'{"type":"message_stop"}', "message_stop")
DELTA_END = b"}}\n\n"

_encode_json = msgspec.json.encode


class StreamEncoder:
    """Writes one block after the other. Text and thinking open with their first piece: none stays empty."""

    def __init__(self, request: neutral.Request) -> None:
        self._model = request.model
        self._searches_are_wanted = any(tool.name == "web_search" for tool in request.hosted_tools)
        self._index = 0
        self._opening = b""
        self._delta_start = b""
        self._is_plain = False
        self._block: neutral.Block | None = None
        self._usage: neutral.Usage | None = None
        self._owed = b""
        self._held: list[str] | None = None
        self._called = False
        self._searches = 0
        self._refusal: list[str] = []

    def encode(self, event: neutral.Event) -> bytes:
        if self._is_plain and type(event) is Delta:
            return self._delta_start + _json_text(event.text) + DELTA_END
        owed, self._owed = self._owed, b""
        written = WRITERS[type(event)](self, event)
        # the end of a block that broke off is not told if the stream broke off with it
        return written if isinstance(event, neutral.Failed) else owed + written

    def keep_alive(self) -> bytes:
        """Clients skip it even before `message_start`."""
        return PING

    def _started(self, event: neutral.Started) -> bytes:
        self._usage = event.usage
        message: dict[str, Any] = {
            "id": new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": anthropic_usage(event.usage or neutral.Usage()),
        }
        return _record({"type": "message_start", "message": message})

    def _block_started(self, event: neutral.BlockStarted) -> bytes:
        self._block = block = event.block
        match block:
            case neutral.Text() | neutral.Refusal():
                self._prepare({"type": "text", "text": ""}, "text_delta", "text")
            case neutral.Thinking():
                self._prepare(
                    {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"
                )
            case neutral.ToolCall():
                return self._call_started(block)
            case neutral.WebSearch() if self._searches_are_wanted:
                return self._search(block)
        return b""

    def _call_started(self, call: neutral.ToolCall) -> bytes:
        self._called = True
        id = anthropic_call_id(call.id) if call.id else new_id("toolu_")
        start = {"type": "tool_use", "id": id, "name": call.name, "input": {}}
        self._prepare(start, "input_json_delta", "partial_json")
        opening, self._opening = self._opening, b""
        self._held = []
        return opening + self._delta_start + b'""' + DELTA_END

    def _prepare(self, start: dict[str, Any], delta: str, field: str) -> None:
        """The records of this block, as far as they are known before its content is."""
        index = self._index
        self._opening = _record({"type": "content_block_start", "index": index, "content_block": start})
        self._delta_start = (
            f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},'
            f'"delta":{{"type":"{delta}","{field}":'
        ).encode()

    def _delta(self, event: Delta) -> bytes:
        """A piece that is not simply passed on: the first of a block, held arguments, a refusal."""
        text = event.text
        if isinstance(self._block, neutral.Refusal):
            self._refusal.append(text)
        if self._held is not None:
            self._held.append(text)
            text = "".join(self._held)
            if not may_become_object(text):
                return b""
            self._held = None
        if not text or self._block is None:
            return b""
        opening, self._opening = self._opening, b""
        self._is_plain = not isinstance(self._block, neutral.Refusal)
        return opening + self._delta_start + _json_text(text) + DELTA_END

    def _citation(self, event: neutral.Citation) -> bytes:
        if not self._searches_are_wanted or not isinstance(self._block, neutral.Text):
            return b""
        opening, self._opening = self._opening, b""
        delta = {"type": "citations_delta", "citation": citation_of(event)}
        return opening + _record({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _block_ended(self, event: neutral.BlockEnded) -> bytes:
        block, self._block = self._block, None
        opening, self._opening = self._opening, b""
        self._is_plain = False
        before = b""
        match block:
            case neutral.Thinking():
                signature = event.signature
                if opening and signature is None:
                    return b""
                if opening and signature is not None and is_redacted(signature):
                    return self._whole_block({"type": "redacted_thinking", "data": sealed(signature)})
                before = opening + self._signature(sealed(signature))
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

    def _signature(self, signature: str) -> bytes:
        delta = {"type": "signature_delta", "signature": signature}
        return _record({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _held_arguments(self) -> bytes:
        """Arguments that did not begin like an object, as the object they are made into."""
        held, self._held = "".join(self._held or ()), None
        if not held.strip():
            return b""
        return self._delta_start + _json_text(bytes(arguments_of(held)).decode()) + DELTA_END

    def _block_stop(self) -> bytes:
        stop = _record({"type": "content_block_stop", "index": self._index})
        self._index += 1
        return stop

    def _whole_block(self, block: dict[str, Any]) -> bytes:
        start = _record({"type": "content_block_start", "index": self._index, "content_block": block})
        return start + self._block_stop()

    def _search(self, search: neutral.WebSearch) -> bytes:
        self._searches += 1
        use, result = search_blocks(search)
        query, use["input"] = use["input"], {}
        self._prepare(use, "input_json_delta", "partial_json")
        opening, self._opening = self._opening, b""
        asked = self._delta_start + _json_text(_encode_json(query).decode()) + DELTA_END
        return opening + asked + self._block_stop() + self._whole_block(result)

    def _finished(self, event: neutral.Finished) -> bytes:
        reason = reason_for(event.stop_reason, self._called)
        usage = self._usage or neutral.Usage()
        if event.usage is not None:
            usage = usage.merged(event.usage)
        sequence = event.stop_sequence if reason is StopReason.STOP_SEQUENCE else None
        delta: dict[str, Any] = {"stop_reason": STOP_WORDS[reason], "stop_sequence": sequence}
        if reason is StopReason.REFUSAL:
            delta["stop_details"] = refusal_details("".join(self._refusal))
        reported = anthropic_usage(usage)
        if self._searches:
            reported["server_tool_use"] = {"web_search_requests": self._searches}
        return _record({"type": "message_delta", "delta": delta, "usage": reported}) + MESSAGE_STOP

    def _failed(self, event: neutral.Failed) -> bytes:
        return error_record("messages", event.error)


WRITERS: Mapping[type, Callable[[StreamEncoder, Any], bytes]] = {
    neutral.Started: StreamEncoder._started,
    neutral.BlockStarted: StreamEncoder._block_started,
    neutral.Delta: StreamEncoder._delta,
    neutral.Citation: StreamEncoder._citation,
    neutral.BlockEnded: StreamEncoder._block_ended,
    neutral.Finished: StreamEncoder._finished,
    neutral.Failed: StreamEncoder._failed,
}


def reason_for(reason: StopReason, called: bool) -> StopReason:
    """The reason that agrees with the content: clients run tools only after `tool_use`."""
    if reason is StopReason.TOOL_USE and not called:
        return StopReason.END_TURN
    if reason is StopReason.END_TURN and called:
        return StopReason.TOOL_USE
    return reason


def refusal_details(explanation: str) -> dict[str, Any]:
    return {"type": "refusal", "category": None, "explanation": explanation or None}


def citation_of(citation: neutral.Citation) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited_text,
        "encrypted_index": "",
    }


def search_blocks(search: neutral.WebSearch) -> tuple[dict[str, Any], dict[str, Any]]:
    """Another vendor's search as this vendor tells its own: the question and what was found."""
    id = new_id(FABRICATED_SEARCH_ID)
    found = [
        {
            "type": "web_search_result",
            "url": source.url,
            "title": source.title,
            "encrypted_content": "",
            "page_age": None,
        }
        for source in search.sources
    ]
    use = {"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": search.query}}
    return use, {"type": "web_search_tool_result", "tool_use_id": id, "content": found}


def _record(event: dict[str, Any]) -> bytes:
    return encode(_encode_json(event), event["type"])


def _json_text(text: str) -> bytes:
    encoded = _encode_json(text)
    return encoded if text.isascii() else on_one_line(encoded)

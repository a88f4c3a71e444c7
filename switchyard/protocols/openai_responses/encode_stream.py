"""Encode an answer for a Responses client, streamed or whole.

https://platform.openai.com/docs/api-reference/responses-streaming
https://platform.openai.com/docs/api-reference/responses/object
https://platform.openai.com/docs/api-reference/responses/compact
"""

from collections.abc import Mapping

import msgspec

from switchyard.protocols import carrier, neutral, sse
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.errors.table import failure
from switchyard.protocols.fold import unfold
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import ErrorType, StopReason
from switchyard.protocols.openai_responses.calls import encode_call
from switchyard.protocols.openai_responses.encode_request import encode_parts
from switchyard.protocols.openai_responses.fields import ECHO_DEFAULTS
from switchyard.protocols.runs import Texts
from switchyard.protocols.usage import responses_usage
from switchyard.protocols.wire import Json, fields, parsed_object, text

INCOMPLETE = frozenset({StopReason.MAX_TOKENS, StopReason.CONTEXT_WINDOW})
FILTERED = neutral.WireError(
    ErrorType.INVALID_REQUEST, "The model declined to answer, or a filter stopped its answer.", 400
)
STREAMED: Mapping[neutral.ToolKind, tuple[str, str]] = {
    "function": ("response.function_call_arguments", "arguments"),
    "custom": ("response.custom_tool_call_input", "input"),
}
"""Calls whose arguments are text, with their events and field; other kinds are structured and sent whole."""

KEEP_ALIVE = sse.encode(b'{"type":"keepalive","sequence_number":0}', "keepalive")
"""Codex is only kept waiting by events, not by comments; an event of no response fits between any two."""

_encode = msgspec.json.Encoder().encode
ENCODED_DEFAULTS = {name: msgspec.Raw(_encode(value)) for name, value in ECHO_DEFAULTS.items()}


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The response object that a stream of this reply ends with."""
    encoder = _WholeEncoder(request)
    for event in unfold(response):
        encoder.encode(event)
    return _encode(encoder.final)


def encode_compact_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The answer of the older endpoint that compacts a conversation: what the user said, then the compaction."""
    output = [
        {"type": "message", "id": new_id("msg_"), "status": "completed", "role": "user", "content": parts}
        for message in request.messages
        if message.role == "user" and (parts := encode_parts(message.content, Capabilities(), []))
    ]
    compactions = [
        {"type": "compaction", "id": new_id("cmp_"), "encrypted_content": block.payload}
        for block in response.content
        if isinstance(block, neutral.Compaction)
    ]
    body = {
        "id": new_id("resp_"),
        "object": "response.compaction",
        "created_at": request.received_at,
        "output": output + compactions,
        "usage": responses_usage(response.usage or neutral.Usage()),
    }
    return _encode(body)


def encode_break(error: neutral.WireError, opening: bytes = b"") -> bytes:
    """Codex passes over any other end of a failed stream.

    The stream helpers of the SDKs take a failure only of the response that the stream was opened with.
    """
    encoder = StreamEncoder(neutral.Request("", ()))
    if opening:
        encoder.resume(_reported_id(opening) or new_id("resp_"))
    return encoder.encode(neutral.Failed(error))


def _reported_id(opening: bytes) -> str:
    events = (parsed_object(record.data) for record in sse.SseDecoder().feed(opening))
    return next(filter(None, (text(fields(event.get("response")).get("id")) for event in events)), "")


class StreamEncoder:
    """One item is open at a time. Codex builds its transcript from `response.output_item.done` alone.

    Texts in a row become one message, which therefore stays open until something else comes.
    """

    def __init__(self, request: neutral.Request) -> None:
        self.final: Json | None = None
        """The response object of the terminal event."""
        self._skeleton = _skeleton(request)
        self._sequence = 0
        self._is_open = False
        self._output: list[Json] = []
        self._has_message = False
        """The last item is a message that is still open."""
        self._is_codex = request.client is ClientProgram.CODEX
        self._part = "output_text"
        self._has_refused = False
        self._block: neutral.Block | None = None
        self._pieces: list[str] = []
        self._block_piece = 0
        self._citations: list[neutral.Citation] = []
        self._annotations: list[Json] = []
        self._delta_prefix = b""
        self._is_cut = False

    def encode(self, event: neutral.Event) -> bytes:
        if type(event) is neutral.Delta:
            return self._delta(event.text)
        if self.final is not None:
            return b""
        opened = b"" if self._is_open else self._opened()
        if isinstance(event, neutral.BlockStarted):
            return opened + self._block_started(event.block)
        if isinstance(event, neutral.BlockEnded):
            return self._block_ended(event)
        if isinstance(event, neutral.Finished):
            return opened + self._finished(event)
        if isinstance(event, neutral.Failed):
            return opened + self._failed(event.error)
        if isinstance(event, neutral.Citation):
            self._citations.append(event)
        return opened

    def encode_texts(self, texts: Texts) -> bytes:
        prefix, sequence = self._delta_prefix, self._sequence
        if not prefix:
            return b"".join([self._delta(text) for text in texts.words])
        self._pieces += texts.words
        self._sequence += len(texts.words)
        numbered = enumerate(texts.quoted, sequence)
        return b"".join([b'%b"%b","sequence_number":%d}\n\n' % (prefix, text, at) for at, text in numbered])

    def resume(self, id: str) -> None:
        """Go on with a response that others began."""
        self._skeleton["id"] = id
        self._is_open, self._sequence = True, 1

    def keep_alive(self) -> bytes:
        if self.final is not None:
            return b""
        return self._progress() if self._is_open else self._opened()

    def _opened(self) -> bytes:
        self._is_open = True
        created = self._record("response.created", response=self._response("in_progress", []))
        return created + self._progress()

    def _progress(self) -> bytes:
        return self._record("response.in_progress", response=self._response("in_progress", []))

    def _finished(self, event: neutral.Finished) -> bytes:
        reason = "max_output_tokens" if event.stop_reason in INCOMPLETE or self._is_cut else ""
        if event.stop_reason is StopReason.REFUSAL and not self._has_refused:
            if self._is_codex:  # it repeats an incomplete response
                return self._failed(FILTERED)
            reason = "content_filter"
        status = "incomplete" if reason else "completed"
        closing = self._message_closed(status)
        usage = responses_usage(event.usage or neutral.Usage())
        details = {"reason": reason} if reason else None
        self.final = self._response(status, self._output, usage=usage, incomplete_details=details)
        return closing + self._record(f"response.{status}", response=self.final)

    def _failed(self, error: neutral.WireError) -> bytes:
        if self._has_message:
            self._output[-1] |= self._message_payload("incomplete")
        elif isinstance(self._block, neutral.ToolCall) and self._block.kind in STREAMED:
            self._fill_call(self._block, "incomplete")
        self.final = self._response("failed", self._output, error=failure(error))
        return self._record("response.failed", response=self.final)

    def _response(self, status: str, output: list[Json], **members: Json | None) -> Json:
        return {
            **self._skeleton,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": output,
            "usage": None,
            **members,
        }

    def _block_started(self, block: neutral.Block) -> bytes:
        self._block = block
        if isinstance(block, neutral.Text | neutral.Refusal):
            return self._words_begun(block)
        closing = self._message_closed("completed")
        match block:
            case neutral.Thinking():
                self._collect_deltas()
                return closing + self._added({"type": "reasoning", "id": new_id("rs_"), "summary": []})
            case neutral.ToolCall():
                return closing + self._call_begun(block)
            case neutral.WebSearch():
                return closing + self._search_item(block)
            case neutral.Compaction(payload):
                item = {"type": "compaction", "id": new_id("cmp_"), "encrypted_content": payload}
                return closing + self._added(item) + self._done()
        return closing

    def _block_ended(self, event: neutral.BlockEnded) -> bytes:
        block, self._block = self._block, None
        match block:
            case neutral.Text() | neutral.Refusal():
                return self._text_ended()
            case neutral.Thinking():
                return self._thinking_ended(block, event.signature)
            case neutral.ToolCall():
                return self._call_ended(block, event.complete)
        return b""

    def _delta(self, text: str) -> bytes:
        self._pieces.append(text)
        if not self._delta_prefix:
            return self._first_thought(text) if isinstance(self._block, neutral.Thinking) else b""
        if not text:
            return b""
        sequence = self._sequence
        self._sequence = sequence + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (self._delta_prefix, sse.quoted(text), sequence)

    def _words_begun(self, block: neutral.Text | neutral.Refusal) -> bytes:
        """A refusal is a message of its own; Codex does not read its part and gets it as text."""
        is_refusal = isinstance(block, neutral.Refusal)
        self._has_refused |= is_refusal
        part = "refusal" if is_refusal and not self._is_codex else "output_text"
        closing = self._message_closed("completed") if part != self._part else b""
        self._part = part
        return closing + self._text_begun()

    def _text_begun(self) -> bytes:
        if self._has_message:
            self._block_piece = len(self._pieces)
            return b""
        self._has_message = True
        self._annotations = []
        self._block_piece = 0
        message = {"type": "message", "id": new_id("msg_"), "status": "in_progress", "role": "assistant"}
        added = self._added({**message, "content": []})
        added += self._of_item("response.content_part.added", content_index=0, part=self._words(""))
        logprobs: Json = {} if self._part == "refusal" else {"logprobs": []}
        self._start_deltas(f"response.{self._part}.delta", content_index=0, **logprobs)
        return added

    def _words(self, words: str) -> Json:
        """The part that a message consists of."""
        if self._part == "refusal":
            return {"type": "refusal", "refusal": words}
        return {"type": "output_text", "text": words, "annotations": self._annotations, "logprobs": []}

    def _text_ended(self) -> bytes:
        """Annotations follow the text that they are about, as only then its place is known."""
        citations, self._citations = self._citations, []
        if not citations or not self._has_message:
            return b""
        start = sum(map(len, self._pieces[: self._block_piece]))
        end = start + sum(map(len, self._pieces[self._block_piece :]))
        return b"".join([self._annotated(citation, start, end) for citation in citations])

    def _annotated(self, citation: neutral.Citation, start: int, end: int) -> bytes:
        source = {"url": citation.url, "title": citation.title}
        annotation = {"type": "url_citation", "start_index": start, "end_index": end, **source}
        self._annotations.append(annotation)
        return self._of_item(
            "response.output_text.annotation.added",
            content_index=0,
            annotation_index=len(self._annotations) - 1,
            annotation=annotation,
        )

    def _message_closed(self, status: str) -> bytes:
        if not self._has_message:
            return b""
        self._has_message = False
        payload = self._message_payload(status)
        self._output[-1] |= payload
        self._collect_deltas()
        part = payload["content"][0]
        words = {name: part[name] for name in ("refusal", "text", "logprobs") if name in part}
        return (
            self._of_item(f"response.{self._part}.done", content_index=0, **words)
            + self._of_item("response.content_part.done", content_index=0, part=part)
            + self._done()
        )

    def _message_payload(self, status: str) -> Json:
        return {"status": status, "content": [self._words("".join(self._pieces))]}

    def _first_thought(self, words: str) -> bytes:
        """The summary part is opened by the first words: some reasoning has none."""
        self._pieces.pop()
        if not words:
            return b""
        part = {"type": "summary_text", "text": ""}
        opened = self._of_item("response.reasoning_summary_part.added", summary_index=0, part=part)
        self._start_deltas("response.reasoning_summary_text.delta", summary_index=0)
        return opened + self._delta(words)

    def _thinking_ended(self, block: neutral.Thinking, signature: neutral.Signature | None) -> bytes:
        item, thought, reported = self._output[-1], "".join(self._pieces), b""
        if thought:
            part = {"type": "summary_text", "text": thought}
            reported = self._of_item("response.reasoning_summary_text.done", summary_index=0, text=thought)
            reported += self._of_item("response.reasoning_summary_part.done", summary_index=0, part=part)
            item["summary"] = [part]
        if signature := signature or block.signature:
            item["encrypted_content"] = encrypted_content(signature, thought, redacted=block.redacted)
        self._collect_deltas()
        return reported + self._done()

    def _call_begun(self, block: neutral.ToolCall) -> bytes:
        self._collect_deltas()
        if block.kind not in STREAMED:
            return b""
        event, field = STREAMED[block.kind]
        added = self._added({**encode_call(block, status="in_progress"), field: ""})
        self._start_deltas(f"{event}.delta")
        return added

    def _call_ended(self, block: neutral.ToolCall, complete: bool) -> bytes:
        """A call that was cut off is never reported as done: Codex runs whatever is done."""
        self._is_cut = self._is_cut or not complete
        if block.kind not in STREAMED:
            return self._structured_call(block) if complete else b""
        missing = b""
        if complete and block.kind == "function" and not "".join(self._pieces).strip():
            self._pieces.clear()
            missing = self._delta("{}")
        self._fill_call(block, "completed" if complete else "incomplete")
        self._collect_deltas()
        if not complete:
            return b""
        event, field = STREAMED[block.kind]
        item = self._output[-1]
        name = {"name": item["name"]} if block.kind == "function" else {}
        return missing + self._of_item(f"{event}.done", **name, **{field: item[field]}) + self._done()

    def _fill_call(self, block: neutral.ToolCall, status: str) -> None:
        self._output[-1] |= {"status": status, STREAMED[block.kind][1]: "".join(self._pieces)}

    def _structured_call(self, block: neutral.ToolCall) -> bytes:
        whole = neutral.ToolCall(block.id, block.name, "".join(self._pieces), block.kind, block.namespace)
        added = self._added(encode_call(whole, status="in_progress"))
        self._output[-1]["status"] = "completed"
        return added + self._done()

    def _search_item(self, search: neutral.WebSearch) -> bytes:
        action = {"type": "search", "query": search.query}
        item = {"type": "web_search_call", "id": new_id("ws_"), "status": "in_progress", "action": action}
        reported = self._added(item)
        for phase in ("in_progress", "searching", "completed"):
            reported += self._of_item(f"response.web_search_call.{phase}")
        sources = [{"type": "url", "url": source.url} for source in search.sources]
        item |= {"status": "completed", "action": {**action, "sources": sources}}
        return reported + self._done()

    def _added(self, item: Json) -> bytes:
        self._output.append(item)
        self._pieces = []
        return self._record("response.output_item.added", output_index=len(self._output) - 1, item=item)

    def _done(self) -> bytes:
        item = self._output[-1]
        return self._record("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _of_item(self, type: str, **members: object) -> bytes:
        return self._record(type, **self._place(), **members)

    def _place(self) -> Json:
        return {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}

    def _start_deltas(self, type: str, **members: object) -> None:
        """Prepare all of a delta's record that stays the same."""
        head = _encode({"type": type, **self._place(), **members})
        self._delta_prefix = b'event: %b\ndata: %b,"delta":' % (type.encode(), head[:-1])

    def _collect_deltas(self) -> None:
        """What comes next is no record at once."""
        self._delta_prefix = b""
        self._pieces = []

    def _record(self, type: str, **members: object) -> bytes:
        sequence = self._sequence
        self._sequence = sequence + 1
        return sse.encode(_encode({"type": type, **members, "sequence_number": sequence}), type)


class _WholeEncoder(StreamEncoder):
    """Only the final response counts: no record is written."""

    def _opened(self) -> bytes:
        self._is_open = True
        return b""

    def _record(self, type: str, **members: object) -> bytes:
        return b""


def _skeleton(request: neutral.Request) -> Json:
    """The part of the response object that stays the same; the echo as raw JSON, since it is sent three times."""
    echo = request.echo
    given = {name: msgspec.Raw(_encode(echo[name])) for name in filter(echo.__contains__, ECHO_DEFAULTS)}
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": request.received_at,
        "model": request.model,
        "background": False,
        **ENCODED_DEFAULTS,
        **given,
    }


def encrypted_content(signature: neutral.Signature, thought: str, *, redacted: bool) -> str:
    """What the client keeps of the reasoning: a carrier, so that it finds back to its issuer."""
    if carrier.unpack(signature.payload) is not None:
        return signature.payload
    payload = {"text": thought, "signature": signature.payload, "redacted": redacted}
    return carrier.pack("thinking", signature.issuer, payload)

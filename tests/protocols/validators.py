"""What every emitted stream and request must obey: the assertions of SDKs, agents and servers.

Each check raises AssertionError that says what is wrong. Take records from `records_of(bytes)`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from switchyard.protocols.sse import Record, SseDecoder

Json = dict[str, Any]

CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CARRIER_PREFIX = "swyd1."

MESSAGES_STOP_REASONS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
}
MESSAGES_USAGE = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
FITTING_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
    "compaction": {"compaction_delta"},
}
EMPTY_STARTS: Mapping[str, Json] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
TERMINAL_EVENTS = {"response.completed", "response.incomplete", "response.failed"}
CALL_ITEMS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
}
RESPONSES_CALLS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "local_shell_call": "local_shell_call_output",
    "shell_call": "shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
    "tool_search_call": "tool_search_output",
}


SHELLS_OUTPUT = {"local_shell_call": "function_call_output"}
"""Codex answers its own shell so."""


def records_of(stream: bytes) -> list[Record]:
    decoder = SseDecoder()
    return decoder.feed(stream) + decoder.close()


# --- streams ------------------------------------------------------------------


def check_messages_stream(records: Iterable[Record]) -> None:
    _MessagesStream().check(records)


def check_chat_stream(records: Iterable[Record], include_usage: bool) -> None:
    _ChatStream(include_usage).check(records)


def check_responses_stream(records: Iterable[Record], codex: bool = False) -> None:
    _ResponsesStream(codex).check(records)


class _MessagesStream:
    def __init__(self) -> None:
        self.started = self.delivered = self.stopped = self.failed = False
        self.types: list[str] = []
        self.ids: set[str] = set()
        self.open: Json | None = None
        self.arguments: dict[int, str] = {}
        self.signed = False
        self.stop_reason = ""

    def check(self, records: Iterable[Record]) -> None:
        for record in records:
            event = msgspec.json.decode(record.data)
            assert record.event == event["type"], (
                f"event {record.event!r} differs from type {event['type']!r}"
            )
            assert not self.failed, f"{record.event} after an error"
            assert not self.stopped, f"{record.event} after message_stop"
            if record.event == "error":
                assert event["error"]["type"] and isinstance(event["error"]["message"], str)
                self.failed = True
            elif record.event != "ping":
                self._check_event(event)
        assert self.failed or self.stopped, "the stream ends without message_stop or error"

    def _check_event(self, event: Json) -> None:
        assert self.started or event["type"] == "message_start", f"{event['type']} before message_start"
        assert not self.delivered or event["type"] == "message_stop", f"{event['type']} after message_delta"
        match event["type"]:
            case "message_start":
                self._check_start(event["message"])
            case "content_block_start":
                self._check_block_start(event)
            case "content_block_delta":
                self._check_block_delta(event)
            case "content_block_stop":
                self._check_block_stop(event)
            case "message_delta":
                self._check_message_delta(event)
            case "message_stop":
                assert self.delivered, "message_stop without message_delta"
                self.stopped = True
            case unknown:
                raise AssertionError(f"unknown event {unknown}")

    def _check_start(self, message: Json) -> None:
        assert not self.started, "a second message_start"
        self.started = True
        assert message["content"] == [], "message_start has content"
        assert message["type"] == "message" and message["role"] == "assistant"
        assert message["id"] and isinstance(message["model"], str)
        assert message["stop_reason"] is None and message["stop_sequence"] is None
        _check_messages_usage(message["usage"])

    def _check_block_start(self, event: Json) -> None:
        assert self.open is None, f"block {event['index']} starts while another is open"
        assert event["index"] == len(self.types), f"block index {event['index']}, expected {len(self.types)}"
        block = event["content_block"]
        for name, value in EMPTY_STARTS.get(block["type"], {}).items():
            assert block.get(name) == value, f"{block['type']} block starts with {name}={block.get(name)!r}"
        if block["type"] in ("tool_use", "server_tool_use"):
            assert CALL_ID.fullmatch(block["id"]), f"tool id {block['id']!r}"
            assert block["id"] not in self.ids, f"tool id {block['id']!r} twice"
            self.ids.add(block["id"])
            assert block["name"], "a tool block without name"
        self.open, self.signed = block, False
        self.types.append(block["type"])

    def _check_block_delta(self, event: Json) -> None:
        assert self.open is not None, "a delta without open block"
        assert event["index"] == len(self.types) - 1, "a delta of a block that is not open"
        delta, block_type = event["delta"], self.open["type"]
        fitting = FITTING_DELTAS.get(block_type, set())
        assert delta["type"] in fitting, f"{delta['type']} in a {block_type} block"
        assert not self.signed, "something follows signature_delta"
        self.signed = delta["type"] == "signature_delta"
        if self.signed:
            assert delta["signature"], "an empty signature"
        if delta["type"] == "input_json_delta":
            self.arguments[event["index"]] = self.arguments.get(event["index"], "") + delta["partial_json"]

    def _check_block_stop(self, event: Json) -> None:
        assert self.open is not None, "content_block_stop without open block"
        assert event["index"] == len(self.types) - 1, "content_block_stop of another block"
        self.open = None

    def _check_message_delta(self, event: Json) -> None:
        assert self.open is None, "message_delta while a block is open"
        self.delivered = True
        self.stop_reason = event["delta"]["stop_reason"]
        assert self.stop_reason in MESSAGES_STOP_REASONS, f"stop_reason {self.stop_reason!r}"
        stop_sequence = event["delta"].get("stop_sequence")
        assert self.stop_reason == "stop_sequence" or stop_sequence is None, (
            "stop_sequence with another reason"
        )
        _check_messages_usage(event["usage"])
        assert self.stop_reason != "tool_use" or "tool_use" in self.types, "tool_use without tool_use block"
        if self.stop_reason not in ("max_tokens", "model_context_window_exceeded"):
            for arguments in self.arguments.values():
                assert not arguments or _is_object(arguments), f"arguments are no object: {arguments!r}"
        assert self.stop_reason != "end_turn" or "tool_use" not in self.types, (
            "end_turn in spite of a tool call"
        )


def _check_messages_usage(usage: Json) -> None:
    for name in MESSAGES_USAGE:
        assert _is_count(usage.get(name)), f"usage.{name} is {usage.get(name)!r}"


class _ChatStream:
    def __init__(self, include_usage: bool) -> None:
        self.include_usage = include_usage
        self.envelope: tuple[object, ...] | None = None
        self.role_reported = self.finished = self.usage_reported = self.done = self.failed = False
        self.tools: list[str] = []
        self.ids: set[str] = set()

    def check(self, records: Iterable[Record]) -> None:
        for record in records:
            assert not record.event, "Chat records have no event name"
            assert not self.done, "something follows [DONE]"
            assert not self.failed, "something follows an error"
            if record.data == b"[DONE]":
                self.done = True
            else:
                self._check_chunk(msgspec.json.decode(record.data))
        assert self.done or self.failed, "the stream ends without [DONE] or error"
        if self.done:
            assert self.finished, "no finish_reason"
            assert self.usage_reported == self.include_usage, f"usage chunk told: {self.usage_reported}"

    def _check_chunk(self, chunk: Json) -> None:
        if chunk.get("error"):
            assert isinstance(chunk["error"]["message"], str)
            self.failed = True
            return
        assert chunk["object"] == "chat.completion.chunk"
        envelope = (chunk["id"], chunk["created"], chunk["model"])
        assert self.envelope in (None, envelope), f"{envelope} after {self.envelope}"
        self.envelope = envelope
        assert not self.usage_reported, "a chunk after the usage chunk"
        if not chunk["choices"]:
            self._check_usage_chunk(chunk)
            return
        if self.include_usage:
            assert "usage" in chunk and chunk["usage"] is None, "usage must be null before the usage chunk"
        else:
            assert "usage" not in chunk, "usage was not asked for"
        assert len(chunk["choices"]) == 1
        self._check_choice(chunk["choices"][0])

    def _check_usage_chunk(self, chunk: Json) -> None:
        assert self.include_usage, "usage was not asked for"
        assert self.finished, "usage before finish_reason"
        usage = chunk["usage"]
        for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
            assert _is_count(usage[name]), f"usage.{name} is {usage[name]!r}"
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        self.usage_reported = True

    def _check_choice(self, choice: Json) -> None:
        assert not self.finished, "a choice after finish_reason"
        assert choice["index"] == 0
        delta = choice["delta"]
        if self.role_reported:
            assert "role" not in delta, "role repeated"
        else:
            assert delta.get("role") == "assistant", "the first chunk tells no role"
            self.role_reported = True
        for name in ("content", "refusal", "reasoning_content"):
            assert delta.get(name) is None or isinstance(delta[name], str), f"delta.{name} is {delta[name]!r}"
        for call in delta.get("tool_calls", ()):
            self._check_call(call)
        if choice["finish_reason"] is not None:
            self._check_finish(choice["finish_reason"])

    def _check_call(self, call: Json) -> None:
        kind = "custom" if "custom" in call else "function"
        if call["index"] == len(self.tools):
            assert call["id"] not in self.ids, f"call id {call['id']!r} twice"
            self.ids.add(call["id"])
            assert call["id"] and len(call["id"]) <= 64, f"call id {call['id']!r}"
            assert call["type"] == kind, f"call type {call['type']!r} with a {kind}"
            assert call[kind]["name"], "a call without name"
            self.tools.append(kind)
            return
        assert 0 <= call["index"] < len(self.tools), f"tool index {call['index']}, expected {len(self.tools)}"
        assert kind == self.tools[call["index"]], "a call changes its type"
        assert not call.get("id") and not call.get("type"), "id or type repeated"
        assert not call[kind].get("name"), "name repeated"
        assert isinstance(call[kind]["input" if kind == "custom" else "arguments"], str)

    def _check_finish(self, reason: str) -> None:
        self.finished = True
        assert reason in FINISH_REASONS, f"finish_reason {reason!r}"
        assert reason != "tool_calls" or self.tools, "finish_reason tool_calls without call"
        assert reason != "stop" or not self.tools, "finish_reason stop in spite of a call"


class _ResponsesStream:
    def __init__(self, codex: bool) -> None:
        self.codex = codex
        self.sequence = 0
        self.created: Json | None = None
        self.terminal: Json | None = None
        self.added: list[Json] = []
        self.done: dict[int, Json] = {}
        self.parts: dict[tuple[int, str, int], str] = {}
        self.reported: set[tuple[int, str, int]] = set()
        self.closed: set[tuple[int, str, int]] = set()

    def check(self, records: Iterable[Record]) -> None:
        for record in records:
            event = msgspec.json.decode(record.data)
            assert record.event == event["type"], (
                f"event {record.event!r} differs from type {event['type']!r}"
            )
            assert self.terminal is None, f"{record.event} after the terminal event"
            assert event["sequence_number"] == self.sequence, f"sequence_number {event['sequence_number']}"
            self.sequence += 1
            self._check_event(event)
        assert self.terminal is not None, "no terminal event"

    def _check_event(self, event: Json) -> None:
        kind = event["type"]
        assert self.created is not None or kind in ("response.created", "error"), (
            f"{kind} before response.created"
        )
        if kind == "response.created":
            assert self.created is None, "a second response.created"
            self.created = event["response"]
            self._check_response(event["response"], "in_progress")
            assert event["response"]["output"] == []
        elif kind in ("response.in_progress", "response.queued"):
            self._check_response(event["response"], kind.removeprefix("response."))
        elif kind in TERMINAL_EVENTS:
            self._check_terminal(event)
        elif kind == "response.output_item.added":
            self._check_added(event)
        elif kind == "response.output_item.done":
            self._check_done(event)
        else:
            self._check_inside(event)

    def _check_response(self, response: Json, status: str) -> None:
        assert self.created is not None
        assert response["id"] and response["id"] == self.created["id"], "the response id changes"
        assert response["status"] == status, f"status {response['status']!r} in an event of {status}"
        assert response["object"] == "response" and "output_text" not in response
        for name in ("created_at", "model", "output", "parallel_tool_calls", "tool_choice", "tools"):
            assert name in response, f"response.{name} is missing"

    def _check_added(self, event: Json) -> None:
        item, index = event["item"], event["output_index"]
        assert index == len(self.added), f"output_index {index}, expected {len(self.added)}"
        assert item["id"] and item["id"] not in [other["id"] for other in self.added], "an item id twice"
        for before in range(index):
            if self.added[before]["type"] in ("message", "reasoning"):
                assert before in self.done, f"{self.added[before]['type']} item still open"
        if item["type"] in CALL_ITEMS:
            payload = CALL_ITEMS[item["type"]]
            assert item["call_id"] and item["name"] and item[payload] == "", f"added call {item}"
            calls = [other.get("call_id") for other in self.added]
            assert item["call_id"] not in calls, f"call id {item['call_id']!r} twice"
            self.parts[index, payload, 0] = ""
        elif item["type"] == "message":
            assert item["content"] == [] and item["role"] == "assistant"
        elif item["type"] == "reasoning":
            assert item["summary"] == []
        self.added.append(item)

    def _open_item(self, event: Json) -> Json:
        index = event["output_index"]
        assert index < len(self.added) and index not in self.done, f"{event['type']} outside of its item"
        assert event["item_id"] == self.added[index]["id"], f"{event['type']} with another item_id"
        return self.added[index]

    def _check_inside(self, event: Json) -> None:
        item, index, kind = self._open_item(event), event["output_index"], event["type"]
        match kind:
            case "response.content_part.added":
                part = event["part"]
                assert part["type"] != "refusal" or not self.codex, "Codex cannot read refusal parts"
                self._add_part((index, "content", event["content_index"]), _part_text(part))
            case "response.content_part.done":
                self._close_part((index, "content", event["content_index"]), _part_text(event["part"]))
            case "response.reasoning_summary_part.added":
                self._add_part((index, "summary", event["summary_index"]), event["part"]["text"])
            case "response.reasoning_summary_part.done":
                self._close_part((index, "summary", event["summary_index"]), event["part"]["text"])
            case "response.output_text.delta" | "response.refusal.delta":
                self._grow((index, "content", event["content_index"]), event["delta"])
            case "response.reasoning_text.delta":
                self.parts.setdefault((index, "reasoning", event["content_index"]), "")
                self._grow((index, "reasoning", event["content_index"]), event["delta"])
            case "response.reasoning_summary_text.delta":
                self._grow((index, "summary", event["summary_index"]), event["delta"])
            case "response.output_text.done":
                self._tell((index, "content", event["content_index"]), event["text"])
            case "response.refusal.done":
                self._tell((index, "content", event["content_index"]), event["refusal"])
            case "response.reasoning_text.done":
                self._tell((index, "reasoning", event["content_index"]), event["text"])
            case "response.reasoning_summary_text.done":
                self._tell((index, "summary", event["summary_index"]), event["text"])
            case "response.function_call_arguments.delta":
                self._grow((index, "arguments", 0), event["delta"])
            case "response.function_call_arguments.done":
                assert event["name"] == item["name"], "arguments.done tells another name"
                self._tell((index, "arguments", 0), event["arguments"])
            case "response.custom_tool_call_input.delta":
                self._grow((index, "input", 0), event["delta"])
            case "response.custom_tool_call_input.done":
                self._tell((index, "input", 0), event["input"])
            case "response.output_text.annotation.added":
                assert (index, "content", event["content_index"]) in self.parts, "annotation without part"
            case _:
                assert kind.startswith("response.web_search_call."), f"unknown event {kind}"

    def _add_part(self, part: tuple[int, str, int], text: str) -> None:
        assert part not in self.parts, f"part {part} added twice"
        assert text == "", "a part starts with text"
        self.parts[part] = ""

    def _grow(self, part: tuple[int, str, int], delta: str) -> None:
        assert part in self.parts, f"a delta before its part {part}"
        assert part not in self.reported, f"a delta after the text of {part} was done"
        self.parts[part] += delta

    def _tell(self, part: tuple[int, str, int], text: str) -> None:
        assert part in self.parts and part not in self.reported, f"{part} done twice, or never begun"
        assert self.parts[part] == text, f"done says {text!r}, the deltas {self.parts[part]!r}"
        self.reported.add(part)

    def _close_part(self, part: tuple[int, str, int], text: str) -> None:
        assert part in self.reported and part not in self.closed, f"part {part} closed too early or twice"
        assert self.parts[part] == text, f"part done says {text!r}, the deltas {self.parts[part]!r}"
        self.closed.add(part)

    def _check_done(self, event: Json) -> None:
        index, item = event["output_index"], event["item"]
        assert index < len(self.added) and index not in self.done, f"item {index} done twice, or never added"
        added = self.added[index]
        for name in ("id", "type", "call_id", "name", "namespace"):
            assert item.get(name) == added.get(name), f"item {index} changes its {name}"
        self._check_payload(index, item)
        for part in self.parts:
            if part[0] == index:
                assert part in self.reported, f"item {index} done before its part {part[1:]}"
        self.done[index] = item

    def _check_payload(self, index: int, item: Json) -> None:
        """The item says what its deltas said."""
        streamed = [text for part, text in sorted(self.parts.items()) if part[0] == index]
        match item["type"]:
            case "message":
                assert [_part_text(part) for part in item["content"]] == streamed, f"item {index} differs"
            case "reasoning":
                texts = [part["text"] for part in (*item.get("content", ()), *item["summary"])]
                assert sorted(texts) == sorted(streamed), f"reasoning item {index} differs"
            case "function_call" | "custom_tool_call":
                assert [item[CALL_ITEMS[item["type"]]]] == streamed, f"call {index} differs"

    def _check_terminal(self, event: Json) -> None:
        status = event["type"].removeprefix("response.")
        response = event["response"]
        self._check_response(response, status)
        self.terminal = response
        if status == "failed":
            assert response["error"]["code"] and isinstance(response["error"]["message"], str)
            return
        assert response["error"] is None
        assert len(response["output"]) == len(self.added), "the terminal output misses items"
        for index, item in enumerate(response["output"]):
            if index in self.done:
                assert item == self.done[index], f"the terminal output differs in item {index}"
            else:
                assert status == "incomplete" and item["type"] in CALL_ITEMS, f"item {index} was never done"
                assert item["id"] == self.added[index]["id"] and item["status"] == "incomplete"
                self._check_payload(index, item)
        details = response["incomplete_details"]
        assert (details is not None and bool(details["reason"])) == (status == "incomplete")
        _check_responses_usage(response["usage"])


def _check_responses_usage(usage: Json) -> None:
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert _is_count(usage[name]), f"usage.{name} is {usage[name]!r}"
    assert _is_count(usage["input_tokens_details"]["cached_tokens"])
    assert _is_count(usage["output_tokens_details"]["reasoning_tokens"])
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def _part_text(part: Json) -> str:
    text = part["refusal"] if part["type"] == "refusal" else part["text"]
    assert isinstance(text, str)
    return text


# --- requests -----------------------------------------------------------------


def check_messages_request(body: Json) -> None:
    assert body["model"] and isinstance(body["max_tokens"], int) and body["max_tokens"] >= 1
    _check_system(body.get("system"))
    turns = _turns_of_messages(body["messages"])
    assert turns[0][0] == "user", f"the first message is of role {turns[0][0]}"
    _check_alternation([role for role, _ in turns])
    _check_messages_calls(turns)
    for position, (role, blocks) in enumerate(turns):
        last = position == len(turns) - 1
        assert blocks or (last and role == "assistant"), f"message {position} is empty"
        for block in blocks:
            _check_messages_block(block)
        if last and role == "assistant" and blocks and blocks[-1]["type"] == "text":
            assert blocks[-1]["text"] == blocks[-1]["text"].rstrip(), "the prefill ends in whitespace"
    _check_messages_tools(body)
    _check_messages_thinking(body)
    assert _count_key(body, "cache_control") <= 4, "more than four cache_control"
    for stop in body.get("stop_sequences", ()):
        assert stop.strip(), "a blank stop sequence"


def _check_system(system: object) -> None:
    if isinstance(system, list):
        assert system, "system is empty"
        for block in system:
            assert block["type"] == "text" and block["text"].strip(), f"system block {block}"
    else:
        assert system is None or (isinstance(system, str) and system), f"system is {system!r}"


def _turns_of_messages(messages: Sequence[Json]) -> list[tuple[str, list[Json]]]:
    assert messages, "no messages"
    return [(message["role"], _blocks(message["content"])) for message in messages]


def _blocks(content: object) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    assert isinstance(content, list)
    return content


def _check_alternation(roles: Sequence[str]) -> None:
    for earlier, later in pairwise(roles):
        assert earlier != later or earlier == "system", f"two {earlier} messages in a row"


def _check_messages_calls(turns: Sequence[tuple[str, list[Json]]]) -> None:
    called: set[str] = set()
    waiting: list[str] = []
    for position, (role, blocks) in enumerate(turns):
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert sorted(results) == sorted(waiting), (
            f"message {position}: results {results} for calls {waiting}"
        )
        types = [block["type"] == "tool_result" for block in blocks]
        assert types == sorted(types, reverse=True), f"message {position}: results are not first"
        assert not results or role == "user"
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert not waiting or role == "assistant"
        for id in waiting:
            assert CALL_ID.fullmatch(id), f"call id {id!r}"
            assert id not in called, f"call id {id!r} twice"
            called.add(id)
    assert not waiting, f"no results of {waiting}"


def _check_messages_block(block: Json) -> None:
    match block["type"]:
        case "text":
            assert block["text"].strip(), "a blank text"
        case "tool_use":
            assert isinstance(block["input"], dict), f"input {block['input']!r}"
            assert TOOL_NAME.fullmatch(block["name"]), f"tool name {block['name']!r}"
        case "tool_result":
            for part in _blocks(block.get("content") or []):
                assert part["type"] != "text" or part["text"].strip(), "a blank text in a result"
        case "thinking":
            assert not block.get("signature", "").startswith(CARRIER_PREFIX), "a carrier as signature"
        case "redacted_thinking":
            assert not block["data"].startswith(CARRIER_PREFIX), "a carrier as redacted thinking"
        case "image" if block["source"]["type"] == "base64":
            assert block["source"]["media_type"].startswith("image/") and block["source"]["data"]


def _check_messages_tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is None:
        assert "tool_choice" not in body, "tool_choice without tools"
        return
    assert tools, "tools is empty"
    names = [tool["name"] for tool in tools]
    assert len(set(names)) == len(names), f"tool names {names}"
    for tool in tools:
        assert TOOL_NAME.fullmatch(tool["name"]), f"tool name {tool['name']!r}"
        if tool.get("type") in (None, "custom"):
            _check_object_schema(tool["input_schema"])
    choice = body.get("tool_choice") or {"type": "auto"}
    assert choice["type"] in ("auto", "any", "tool", "none")
    assert choice["type"] != "tool" or choice["name"] in names, f"tool_choice {choice}"


def _check_messages_thinking(body: Json) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking["type"] == "disabled":
        return
    assert body.get("temperature", 1) == 1, "temperature with thinking"
    assert "top_k" not in body, "top_k with thinking"
    assert (body.get("tool_choice") or {"type": "auto"})["type"] in ("auto", "none"), (
        "forced tool with thinking"
    )
    assert body["messages"][-1]["role"] != "assistant", "a prefill with thinking"
    if thinking["type"] == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"], f"budget {thinking['budget_tokens']}"


def check_chat_request(body: Json) -> None:
    assert body["model"]
    _check_chat_messages(body["messages"])
    _check_chat_tools(body)
    assert "stream_options" not in body or body.get("stream"), "stream_options without stream"
    assert _count_key(body["messages"], "cache_control") == 0, "cache_control leaks"
    assert not ("max_tokens" in body and "max_completion_tokens" in body), "both token limits"
    stop = body.get("stop")
    assert stop is None or isinstance(stop, str) or 1 <= len(stop) <= 4, f"stop {stop!r}"
    for foreign in ("system", "stop_sequences", "input", "instructions", "max_output_tokens"):
        assert foreign not in body, f"{foreign} is not of this protocol"


def _check_chat_messages(messages: Sequence[Json]) -> None:
    assert messages, "no messages"
    waiting: list[str] = []
    for position, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            assert message["tool_call_id"] in waiting, f"message {position} answers no call"
            waiting.remove(message["tool_call_id"])
            assert isinstance(message["content"], str | list)
            continue
        assert not waiting, f"message {position} comes before the results of {waiting}"
        assert role in ("system", "developer", "user", "assistant"), f"role {role!r}"
        _check_chat_content(message, position)
        waiting = _chat_calls(message)
    assert not waiting, f"no results of {waiting}"


def _check_chat_content(message: Json, position: int) -> None:
    content = message.get("content")
    if content is None:
        assert message["role"] == "assistant" and message.get("tool_calls"), f"message {position}: no content"
    if isinstance(content, list):
        assert content, f"message {position}: empty content"
        for part in content:
            assert part["type"] in ("text", "image_url", "file", "input_audio", "refusal"), (
                f"part {part['type']}"
            )
            assert part["type"] != "text" or part["text"].strip(), f"message {position}: blank text"


def _chat_calls(message: Json) -> list[str]:
    calls = message.get("tool_calls")
    if calls is None:
        return []
    assert message["role"] == "assistant" and calls, "tool_calls is empty, or not the assistant's"
    for call in calls:
        assert call["id"] and len(call["id"]) <= 64, f"call id {call['id']!r}"
        assert call["type"] in ("function", "custom")
        assert TOOL_NAME.fullmatch(call[call["type"]]["name"]), f"call name {call[call['type']]['name']!r}"
        assert isinstance(call[call["type"]]["arguments" if call["type"] == "function" else "input"], str)
    ids = [call["id"] for call in calls]
    assert len(set(ids)) == len(ids), f"call ids {ids}"
    return ids


def _check_chat_tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is None:
        assert "tool_choice" not in body and "parallel_tool_calls" not in body, "tool settings without tools"
        return
    assert tools, "tools is empty"
    names = []
    for tool in tools:
        assert tool["type"] in ("function", "custom"), f"tool type {tool['type']!r}"
        names.append(tool[tool["type"]]["name"])
        if tool["type"] == "function":
            _check_object_schema(tool["function"]["parameters"])
    _check_tool_names(names)
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] in ("function", "custom"):
        assert choice[choice["type"]]["name"] in names, f"tool_choice {choice}"


def check_responses_request(body: Json) -> None:
    assert body["model"]
    assert "stop" not in body and "messages" not in body
    assert body.get("instructions") is None or isinstance(body["instructions"], str)
    assert _count_key(body["input"], "cache_control") == 0, "cache_control leaks"
    if isinstance(body["input"], list):
        _check_responses_items(body["input"])
    _check_responses_tools(body)


def _check_responses_items(items: Sequence[Json]) -> None:
    assert items, "input is empty"
    called: dict[str, str] = {}
    answered: set[str] = set()
    for position, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "message":
            _check_responses_message(item)
        elif kind in RESPONSES_CALLS:
            assert 0 < len(item["call_id"]) <= 64 and item["call_id"] not in called, (
                f"call id {item['call_id']!r}"
            )
            called[item["call_id"]] = kind
            payload = CALL_ITEMS.get(kind)
            assert payload is None or isinstance(item[payload], str)
        elif kind in RESPONSES_CALLS.values():
            id = item["call_id"]
            assert id in called and id not in answered, f"output {id!r} without call, or twice"
            assert kind in (RESPONSES_CALLS[called[id]], SHELLS_OUTPUT.get(called[id])), (
                f"{kind} for a {called[id]}"
            )
            answered.add(id)
        elif kind == "reasoning":
            assert isinstance(item["summary"], list)
            follower = items[position + 1].get("type", "message") if position + 1 < len(items) else None
            owned = follower in (*RESPONSES_CALLS, "reasoning", "web_search_call", "message")
            assert owned, "a reasoning item without the item it led to"
    assert set(called) == answered, f"calls without output: {set(called) - answered}"


def _check_responses_message(item: Json) -> None:
    assert item["role"] in ("user", "assistant", "system", "developer"), f"role {item['role']!r}"
    content = item["content"]
    if isinstance(content, str):
        assert content, "an empty message"
        return
    assert content, "an empty message"
    own = (
        ("output_text", "refusal")
        if item["role"] == "assistant"
        else ("input_text", "input_image", "input_file")
    )
    for part in content:
        assert part["type"] in own, f"{part['type']} in a message of role {item['role']}"


def _check_responses_tools(body: Json) -> None:
    tools = body.get("tools")
    if not tools:
        assert tools is None and "tool_choice" not in body, "tools is empty, or tool_choice without tools"
        return
    _check_tool_names([tool["name"] for tool in tools if tool["type"] in ("function", "custom")])
    names = [(tool.get("namespace"), tool["name"]) for tool in _with_namespaces(tools)]
    assert len(set(names)) == len(names), f"tool names {names}"
    for tool in _with_namespaces(tools):
        if tool["type"] == "function":
            assert isinstance(tool["strict"], bool), "strict is not told"
            _check_object_schema(tool["parameters"])
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] in ("function", "custom"):
        assert (choice.get("namespace"), choice["name"]) in names, f"tool_choice {choice}"


def _with_namespaces(tools: Sequence[Json]) -> Iterator[Json]:
    for tool in tools:
        if tool["type"] == "namespace":
            yield from ({**inner, "namespace": tool["name"]} for inner in tool["tools"])
        elif tool["type"] in ("function", "custom"):
            yield tool


# --- values -------------------------------------------------------------------


def _check_tool_names(names: Sequence[str]) -> None:
    assert len(set(names)) == len(names), f"tool names {names}"
    for name in names:
        assert TOOL_NAME.fullmatch(name), f"tool name {name!r}"


def _check_object_schema(schema: Json) -> None:
    assert schema["type"] == "object", f"schema type {schema['type']!r}"
    assert isinstance(schema["properties"], dict), "a schema without properties"
    assert not {"anyOf", "oneOf", "allOf"} & set(schema), "a union at the root of a schema"


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count_key(value: object, key: str) -> int:
    return sum(1 for found in _keys(value) if found == key)


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)

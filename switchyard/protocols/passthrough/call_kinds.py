"""Give each call that passes through the kind that the client has declared its tool with: a function, or free text.

Some relays know functions only, and answer with one where a custom tool is declared; clients do not run such a call.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from switchyard.protocols import neutral, sse
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.openai_chat.calls import argument_text, is_custom_call
from switchyard.protocols.passthrough.peek import ABSENT, Members
from switchyard.protocols.tools.calls import arguments_for, restore_arguments
from switchyard.protocols.wire import Json, entries, fields, parsed, text

ITEMS = {"function_call": "function", "custom_tool_call": "custom"}
ITEM_OF = {kind: item for item, kind in ITEMS.items()}
TEXT_OF = {"function": "arguments", "custom": "input"}
EVENT_OF = {"function": "response.function_call_arguments", "custom": "response.custom_tool_call_input"}
ENDS = ("response.completed", "response.incomplete", "response.done")
CALLS_OF = {
    "responses": {"function": b'"function_call"', "custom": b'"custom_tool_call"'},
    "chat": {"function": b'"tool_calls"', "custom": b'"custom"'},
}


class CallKinds:
    """The kinds of one request's tools, and the calls of its answer that have another one. Feed it whole records."""

    def __init__(self, protocol: ProtocolName, members: Members) -> None:
        self._protocol = protocol
        self._members = members
        self._tools: dict[str, neutral.Tool] | None = None
        self.open_calls: dict[object, _Call] = {}
        """those that are being fixed"""
        self._declares_later = False
        self._signs = tuple(CALLS_OF.get(protocol, {}).values())
        self._are_read = False
        """whether `_signs` are those of this request; its tools may be large, and most answers call none"""

    def concerns(self, records: bytes) -> bool:
        """False if there is nothing to fix in these records, nor in a call that they go on with."""
        return bool(self.open_calls) or self._has_sign(records)

    def fixed(self, raw: bytes) -> bytes:
        """The record, or what stands in its place; the very same bytes if no call is of another kind."""
        return _rewritten(raw, self._fixed_event if self._protocol == "responses" else self._fixed_chunk)

    def fixed_body(self, body: bytes) -> bytes:
        """The same of a whole answer."""
        if not self._has_sign(body):
            return body
        answer = fields(parsed(body))
        if self._protocol == "responses":
            fixed = {**answer, "output": [self._item(item) for item in entries(answer.get("output"))]}
        else:
            fixed = {**answer, "choices": [self._choice(one) for one in entries(answer.get("choices"))]}
        return body if fixed == answer else msgspec.json.encode(fixed)

    def _has_sign(self, records: bytes) -> bool:
        for sign in self._signs:
            if records.find(sign) >= 0:
                break
        else:
            return False
        if self._are_read:
            return True
        self._signs, self._are_read = self._signs_of_request(), True
        return self._has_sign(records)

    def _signs_of_request(self) -> tuple[bytes, ...]:
        """What stands where a call begins that may have another kind than its tool."""
        given = bytes(self._members.input) if self._protocol == "responses" else b""
        self._declares_later = given.find(b'"additional_tools"') >= 0
        tools = self._members.tools
        if tools is ABSENT and not self._declares_later:
            return ()
        has_custom = self._declares_later or bytes(tools).find(b'"custom"') >= 0
        signs = CALLS_OF[self._protocol]
        return tuple([sign for kind, sign in signs.items() if kind == "custom" or has_custom])

    def _other(self, name: str, called: str) -> neutral.Tool | None:
        """The tool of this name if it is declared with another kind than it was called with."""
        if self._tools is None:
            self._tools = {tool.name: tool for tool in self._declared_tools()}
        tool = self._tools.get(name)
        return tool if tool is not None and tool.kind != called else None

    def _declared_tools(self) -> Iterator[neutral.Tool]:
        yield from _tools_in(parsed(self._members.get("tools") or b""))
        if self._declares_later:
            for item in entries(parsed(self._members.get("input") or b"")):
                if fields(item).get("type") == "additional_tools":
                    yield from _tools_in(item.get("tools"))

    # --- Responses --------------------------------------------------------------

    def _item(self, item: Any) -> Any:
        called = ITEMS.get(text(fields(item).get("type")))
        tool = self._other(text(item.get("name")), called) if called else None
        if called is None or tool is None:
            return item
        given = argument_text(item.get(TEXT_OF[called]))
        bare = {name: value for name, value in item.items() if name not in ("type", TEXT_OF[called])}
        words = _converted(given, tool) if given else ""
        return {"type": ITEM_OF[tool.kind], **bare, TEXT_OF[tool.kind]: words}

    def _fixed_event(self, event: Json) -> list[Json] | None:
        type, index = text(event.get("type")), event.get("output_index")
        if type in ENDS:
            response = fields(event.get("response"))
            output = [self._item(item) for item in entries(response.get("output"))]
            return [{**event, "response": {**response, "output": output}}] if response else None
        if "item" in event:
            return self._fixed_item(event, index)
        call = self.open_calls.get(index)
        if call is None or not type.startswith(EVENT_OF[call.called]):
            return None
        return [] if type.endswith(".delta") else list(self._whole_text(event, call))

    def _fixed_item(self, event: Json, index: object) -> list[Json] | None:
        item = self._item(event["item"])
        if item is event["item"]:
            return None
        called = ITEMS[event["item"]["type"]]
        if event.get("type") == "response.output_item.added":
            self.open_calls[index] = _Call(called, self._declared(item))
        else:
            self.open_calls.pop(index, None)
        return [{**event, "item": item}]

    def _declared(self, item: Json) -> neutral.Tool:
        return (self._tools or {})[text(item.get("name"))]

    def _whole_text(self, event: Json, call: "_Call") -> Iterator[Json]:
        """The text at once: only the whole of it can be converted."""
        kind, given = call.tool.kind, argument_text(event.get(TEXT_OF[call.called]))
        words = _converted(given, call.tool)
        bare = {
            name: value for name, value in event.items() if name not in ("type", TEXT_OF[call.called], "name")
        }
        yield {**bare, "type": f"{EVENT_OF[kind]}.delta", "delta": words}
        yield {**bare, "type": f"{EVENT_OF[kind]}.done", TEXT_OF[kind]: words}

    # --- Chat -------------------------------------------------------------------

    def _choice(self, choice: Any) -> Any:
        message = fields(fields(choice).get("message"))
        calls = entries(message.get("tool_calls"))
        return (
            {**choice, "message": {**message, "tool_calls": [*map(self._whole_call, calls)]}}
            if calls
            else choice
        )

    def _whole_call(self, call: Any) -> Any:
        kind = "custom" if is_custom_call(fields(call)) else "function"
        called = fields(fields(call).get(kind))
        tool = self._other(text(called.get("name")), kind)
        if tool is None:
            return call
        bare = {name: value for name, value in call.items() if name not in TEXT_OF}
        words = _converted(argument_text(called.get(TEXT_OF[kind])), tool)
        return {**bare, "type": tool.kind, tool.kind: {"name": tool.name, TEXT_OF[tool.kind]: words}}

    def _fixed_chunk(self, chunk: Json) -> list[Json] | None:
        choices = entries(chunk.get("choices"))
        choice = fields(choices[0]) if choices else {}
        delta = fields(choice.get("delta"))
        calls = [fields(call) for call in entries(delta.get("tool_calls"))]
        kept = [one for call in calls if (one := self._fragment(call)) is not None]
        owed = self._owed() if choice.get("finish_reason") else []
        if kept == calls and not owed:
            return None
        without = {name: value for name, value in delta.items() if name != "tool_calls"}
        if not owed:
            return [_with_delta(chunk, {**without, **({"tool_calls": kept} if kept else {})})]
        # the names come before the arguments, and these before the end
        before = [_going_on(chunk, kept)] if kept else []
        return [*before, _going_on(chunk, owed), _with_delta(chunk, without)]

    def _fragment(self, call: Json) -> Json | None:
        """The fragment under the declared kind; its arguments wait for the end."""
        index = call.get("index", 0)
        kind = "custom" if is_custom_call(call) else "function"
        given = fields(call.get(kind))
        known = self.open_calls.get(index)
        if known is not None:
            known.pieces.append(argument_text(given.get(TEXT_OF[known.called])))
            return None
        tool = self._other(text(given.get("name")), kind)
        if tool is None:
            return call
        self.open_calls[index] = _Call(kind, tool, [argument_text(given.get(TEXT_OF[kind]))])
        bare = {name: value for name, value in call.items() if name not in TEXT_OF}
        return {**bare, "type": tool.kind, tool.kind: {"name": tool.name, TEXT_OF[tool.kind]: ""}}

    def _owed(self) -> list[Json]:
        """The arguments that have waited."""
        calls, self.open_calls = self.open_calls, {}
        return [{"index": index, call.tool.kind: call.given} for index, call in calls.items()]


class _Call(msgspec.Struct):
    """A call that came as `called`, though its tool is declared otherwise."""

    called: str
    tool: neutral.Tool
    pieces: list[str] = []

    @property
    def given(self) -> Json:
        return {TEXT_OF[self.tool.kind]: _converted("".join(self.pieces), self.tool)}


def _with_delta(chunk: Json, delta: Json, **more: Any) -> Json:
    first, *others = chunk["choices"]
    return {**chunk, "choices": [{**first, "delta": delta, **more}, *others]}


def _going_on(chunk: Json, calls: list[Json]) -> Json:
    """A chunk of its own before this one."""
    bare = {name: value for name, value in chunk.items() if name != "usage"}
    return _with_delta(bare, {"tool_calls": calls}, finish_reason=None)


def _converted(given: str, tool: neutral.Tool) -> str:
    return restore_arguments(given, tool) if tool.kind == "custom" else arguments_for(given, tool)


def _tools_in(declared: object) -> Iterator[neutral.Tool]:
    for given in map(fields, entries(declared)):
        kind = given.get("type")
        if kind == "namespace":
            yield from _tools_in(given.get("tools"))
        elif kind in TEXT_OF:
            tool = fields(given.get(kind)) or given
            yield neutral.Tool(text(tool.get("name")), parameters=fields(tool.get("parameters")), kind=kind)


def _rewritten(raw: bytes, fix: Callable[[Json], list[Json] | None]) -> bytes:
    """The record as `fix` makes it of its JSON; None leaves it as it is."""
    decoded = sse.SseDecoder().feed(raw)
    event = fields(parsed(decoded[0].data)) if len(decoded) == 1 else {}
    fixed = fix(event) if event else None
    if fixed is None or fixed == [event]:
        return raw
    names = (text(one.get("type")) if decoded[0].event else "" for one in fixed)
    return b"".join(
        sse.encode(msgspec.json.encode(one), name) for one, name in zip(fixed, names, strict=True)
    )

"""Read the input items of a request as a conversation; write a conversation as items.

https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.history import text_of
from switchyard.protocols.ids import openai_call_id
from switchyard.protocols.openai_responses.calls import CALL_KINDS, OUTPUT_KINDS, Item, read_call, write_call
from switchyard.protocols.openai_responses.content import read_content, read_output, write_output, write_parts
from switchyard.protocols.openai_responses.reasoning import read_reasoning, restored_item
from switchyard.protocols.openai_responses.tools import Declared, Toolbox
from switchyard.protocols.tools.calls import wire_arguments
from switchyard.protocols.wire import fields, json_text, text

SUMMARY_HEADING = "Summary of the conversation so far:"
NO_STATE = "no conversation is stored here; send all items in `input`"
SYSTEM_ROLES = ("system", "developer")


@dataclass(slots=True)
class Conversation:
    """What the items of a request add up to."""

    toolbox: Toolbox
    system: list[str] = field(default_factory=list)
    compact: bool = False
    losses: list[neutral.Loss] = field(default_factory=list)
    _turns: list[tuple[neutral.Role, list[neutral.Block]]] = field(default_factory=list)
    _kinds: dict[str, neutral.ToolKind] = field(default_factory=dict)

    @property
    def messages(self) -> tuple[neutral.Message, ...]:
        return tuple(neutral.Message(role, tuple(content)) for role, content in self._turns if content)

    def read(self, items: object) -> None:
        """Raises BadRequest."""
        if isinstance(items, str):
            self._append("user", neutral.Text(items))
            return
        if not isinstance(items, list):
            raise BadRequest("input: expected a string or a list of items", "input")
        for position, item in enumerate(items):
            if not isinstance(item, dict):
                raise BadRequest(f"input[{position}]: expected an object", f"input[{position}]")
            self._read(item, f"input[{position}]")

    def _read(self, item: Item, place: str) -> None:
        type = text(item.get("type")) or ("message" if "role" in item else "item_reference")
        reader = _READERS.get(type)
        if reader is None:
            self.losses.append(neutral.Loss(f"input.{type}", "the item belongs to another service"))
        else:
            reader(self, item, place)

    def _append(self, role: neutral.Role, *blocks: neutral.Block) -> None:
        """One message for all that one side says in a row."""
        if self._turns and self._turns[-1][0] == role != "system":
            self._turns[-1][1].extend(blocks)
        else:
            self._turns.append((role, list(blocks)))

    # --- one kind of item each ------------------------------------------------

    def _message(self, item: Item, place: str) -> None:
        role = text(item.get("role"))
        content = read_content(item.get("content"), f"{place}.content")
        if role in SYSTEM_ROLES:
            if self._turns:
                self._append("system", *content)
            elif joined := text_of(content):
                self.system.append(joined)
        elif role in ("user", "assistant"):
            self._append("assistant" if role == "assistant" else "user", *content)
        else:
            raise BadRequest(f"{place}.role: {role!r} is none of user, assistant, developer, system", place)

    def _call(self, item: Item, place: str) -> None:
        if item["type"] == "tool_search_call" and item.get("execution") == "server":
            return
        call = read_call(item)
        _require(call.id, f"{place}.call_id")
        _require(call.name, f"{place}.name")
        self._kinds[call.id] = call.kind
        self._append("assistant", call)

    def _output(self, item: Item, place: str) -> None:
        call_id = text(item.get("call_id")) or text(item.get("id"))
        _require(call_id, f"{place}.call_id")
        kind = self._kinds.get(call_id, OUTPUT_KINDS[item["type"]])
        output = item.get("output")
        if item["type"] == "shell_call_output":
            output = json_text(output)
        content = read_output(output, f"{place}.output")
        is_error = item.get("status") == "failed"
        self._append("user", neutral.ToolResult(call_id, content, is_error, kind))

    def _search_output(self, item: Item, place: str) -> None:
        """The tools that a search found are callable from now on."""
        found = self.toolbox.read(item.get("tools"), f"{place}.tools")
        if not text(item.get("call_id")):
            return
        names = [f"{tool.namespace}__{tool.name}" if tool.namespace else tool.name for tool in found]
        joined = neutral.Text(f"Found tools: {', '.join(names)}" if names else "No tools found.")
        self._append("user", neutral.ToolResult(item["call_id"], (joined,), kind="tool_search"))

    def _additional_tools(self, item: Item, place: str) -> None:
        self.toolbox.read(item.get("tools"), f"{place}.tools")

    def _reasoning(self, item: Item, _: str) -> None:
        thinking = read_reasoning(item)
        if thinking is not None:
            self._append("assistant", thinking)

    def _web_search(self, item: Item, _: str) -> None:
        action = fields(item.get("action"))
        query = text(action.get("query")) or text(action.get("url"))
        self._append("assistant", neutral.WebSearch(text(item.get("id")), query))

    def _compaction(self, item: Item, _: str) -> None:
        payload = text(item.get("encrypted_content"))
        summary = summary_in(payload)
        if summary is None:
            self._append("assistant", neutral.Compaction(payload))
        else:
            self._append("user", neutral.Text(f"{SUMMARY_HEADING}\n\n{summary}"))

    def _trigger(self, _item: Item, _place: str) -> None:
        self.compact = True

    def _reference(self, item: Item, place: str) -> None:
        id = text(item.get("id"))
        raise BadRequest(f"{place}: item {id!r} is not known: {NO_STATE}", place)


def _require(value: str, place: str) -> None:
    if not value:
        raise BadRequest(f"{place}: field required", place)


def summary_in(payload: str) -> str | None:
    """The summary that this daemon once had written."""
    carried = carrier.unpack(payload)
    if carried is None or carried.kind != "summary":
        return None
    return text(carried.payload.get("text"))


_READERS: Mapping[str, Callable[[Conversation, Item, str], None]] = {
    "message": Conversation._message,
    **dict.fromkeys(CALL_KINDS, Conversation._call),
    **dict.fromkeys(OUTPUT_KINDS, Conversation._output),
    "tool_search_output": Conversation._search_output,
    "additional_tools": Conversation._additional_tools,
    "reasoning": Conversation._reasoning,
    "web_search_call": Conversation._web_search,
    "compaction": Conversation._compaction,
    "compaction_summary": Conversation._compaction,
    "compaction_trigger": Conversation._trigger,
    "item_reference": Conversation._reference,
}


# --- writing ------------------------------------------------------------------


@dataclass(slots=True)
class ItemWriter:
    """Writes a well-formed conversation for one upstream."""

    target: Target
    declared: Declared
    losses: list[neutral.Loss] = field(default_factory=list)

    def write(self, messages: Iterable[neutral.Message]) -> list[Item]:
        """Raises BadRequest for what the upstream cannot read."""
        return [item for message in messages for item in self._written(message)]

    def _written(self, message: neutral.Message) -> list[Item]:
        if message.role == "assistant":
            return self._assistant(message.content)
        if message.role == "user":
            return self._user(message.content)
        role = "developer" if self.target.capabilities.developer_role else "system"
        return [{"role": role, "content": text_of(message.content)}]

    def _user(self, content: tuple[neutral.Block, ...]) -> list[Item]:
        items: list[Item] = []
        appended: list[neutral.Block] = []
        for block in content:
            if isinstance(block, neutral.ToolResult):
                items += [*self._appended(appended), self._result(block)]
                appended = []
            else:
                appended.append(block)
        return items + self._appended(appended)

    def _appended(self, blocks: list[neutral.Block]) -> list[Item]:
        parts = write_parts(blocks, self.target.capabilities)
        return [{"role": "user", "content": parts}] if parts else []

    def _assistant(self, content: tuple[neutral.Block, ...]) -> list[Item]:
        items: list[Item] = []
        for block in content:
            match block:
                case neutral.Text(words) | neutral.Refusal(words) if words:
                    _add_text(items, words)
                case neutral.Thinking():
                    items += self._reasoning(block)
                case neutral.ToolCall():
                    items.append(self._call(block))
                case neutral.Compaction():
                    items += self._compaction(block)
        return self._followed(items)

    def _reasoning(self, thinking: neutral.Thinking) -> list[Item]:
        item = restored_item(thinking, self.target.issuer)
        if item is None:
            self._lost("reasoning", "another upstream's reasoning cannot be replayed")
            return []
        return [item]

    def _followed(self, items: list[Item]) -> list[Item]:
        """Reasoning is refused unless the item that it led to follows."""
        kept = list(items)
        while kept and kept[-1].get("type") == "reasoning":
            kept.pop()
            self._lost("reasoning", "what it led to is missing")
        return kept

    def _call(self, call: neutral.ToolCall) -> Item:
        if self.declared.is_native and (call.kind not in ("function", "custom") or call.namespace):
            return write_call(replace(call, arguments=wire_arguments(call, custom=True)))
        item: Item = {
            "type": "function_call",
            "call_id": openai_call_id(call.id),
            "name": self.declared.name_of(call.name, call.namespace),
        }
        if call.kind == "custom" and self.declared.custom:
            return {**item, "type": "custom_tool_call", "input": call.arguments}
        return {**item, "arguments": wire_arguments(call, custom=False)}

    def _result(self, result: neutral.ToolResult) -> Item:
        call_id = openai_call_id(result.call_id)
        writer = _RESULT_WRITERS.get(result.kind) if self.declared.is_native else None
        if writer is not None:
            return {"call_id": call_id, **writer(result)}
        is_custom = result.kind == "custom" and self.declared.custom
        return {
            "type": "custom_tool_call_output" if is_custom else "function_call_output",
            "call_id": call_id,
            "output": write_output(result, self.target.capabilities),
        }

    def _compaction(self, compaction: neutral.Compaction) -> list[Item]:
        if not self.target.capabilities.responses_items:
            raise BadRequest(
                "This compacted conversation can only be read by the upstream that compacted it.", "input"
            )
        return [{"type": "compaction", "encrypted_content": compaction.payload}]

    def _lost(self, field: str, why: str) -> None:
        loss = neutral.Loss(f"input.{field}", why)
        if loss not in self.losses:
            self.losses.append(loss)


def _add_text(items: list[Item], words: str) -> None:
    part = {"type": "output_text", "text": words, "annotations": []}
    if items and items[-1].get("type") == "message":
        items[-1]["content"].append(part)
    else:
        items.append({"type": "message", "role": "assistant", "content": [part]})


def _local_shell_result(result: neutral.ToolResult) -> Item:
    return {"type": "local_shell_call_output", "id": result.call_id, "output": text_of(result.content)}


def _shell_result(result: neutral.ToolResult) -> Item:
    joined = text_of(result.content)
    outcome = {"type": "exit", "exit_code": 1 if result.is_error else 0}
    return {
        "type": "shell_call_output",
        "output": _shell_outputs(joined) or [{"stdout": joined, "stderr": "", "outcome": outcome}],
    }


def _shell_outputs(joined: str) -> list[Any]:
    """The outputs of commands that were read as JSON text."""
    try:
        outputs = msgspec.json.decode(joined)
    except (msgspec.DecodeError, RecursionError):
        return []
    is_native = isinstance(outputs, list) and all(
        isinstance(output, dict) and "outcome" in output for output in outputs
    )
    return outputs if is_native else []


def _patch_result(result: neutral.ToolResult) -> Item:
    return {
        "type": "apply_patch_call_output",
        "status": "failed" if result.is_error else "completed",
        "output": text_of(result.content),
    }


def _search_result(_: neutral.ToolResult) -> Item:
    """The found tools are declared with all others by now."""
    return {"type": "tool_search_output", "execution": "client", "status": "completed", "tools": []}


_RESULT_WRITERS: Mapping[neutral.ToolKind, Callable[[neutral.ToolResult], Item]] = {
    "local_shell": _local_shell_result,
    "shell": _shell_result,
    "apply_patch": _patch_result,
    "tool_search": _search_result,
}

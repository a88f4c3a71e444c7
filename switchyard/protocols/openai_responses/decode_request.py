"""Decode the Responses requests of clients: their items as a conversation, their tools wherever they are declared.

https://platform.openai.com/docs/api-reference/responses/create
https://platform.openai.com/docs/guides/tools
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.content import Part, summary_in, summary_turn
from switchyard.protocols.fields import decode_fields, lost_fields
from switchyard.protocols.history import text_of
from switchyard.protocols.known_history import KnownHistory, decode_known
from switchyard.protocols.message_memory import History, KnownItem
from switchyard.protocols.neutral import Loss, ToolChoice
from switchyard.protocols.openai import (
    PARTS,
    decode_choice,
    decode_content,
    decode_custom,
    decode_function,
    decode_part,
    holds_ciphertext,
)
from switchyard.protocols.openai_responses.calls import CALL_KINDS, FIXED, OUTPUT_KINDS, decode_call
from switchyard.protocols.openai_responses.configuration import UPDATE, last_settings
from switchyard.protocols.openai_responses.fields import ECHO_DEFAULTS, FIELDS, NOT_KNOWN
from switchyard.protocols.openai_responses.reasoning import decode_reasoning
from switchyard.protocols.tools.choice import WEB_SEARCH
from switchyard.protocols.wire import (
    Json,
    bad_field,
    entries,
    fields,
    json_text,
    parsed,
    required_text,
    text,
)

SYSTEM_ROLES = ("system", "developer")
REFUSED_TOOLS = ("mcp", "computer", "computer_use", "computer_use_preview")
"""Without these the model would silently lack what the client counts on."""
OWN_PARTS = ("output_text", "refusal", "thinking")
"""Parts that only the model writes; all others that stand outside of any message are the user's."""
STRINGIFIED_PARTS = '[{"type":"input_'


def decode_request(body: bytes, history: History | None = None) -> neutral.Request:
    """Raises BadRequest."""
    return request_of(*decode_known(body, "responses", "input", history))


def request_of(body: Json, known_history: KnownHistory | None = None) -> neutral.Request:
    """Raises BadRequest."""
    model = required_text(body, "model")
    toolbox = Toolbox()
    toolbox.declare(body.get("tools"))
    conversation = Conversation(toolbox, known_history)
    if instructions := text(body.get("instructions")):
        conversation.system.append(instructions)
    conversation.decode(body.get("input"))
    body = {**body, **last_settings(body, conversation.updates)}
    found = decode_fields(FIELDS, body)
    return neutral.Request(
        model,
        conversation.messages,
        tuple(conversation.system),
        tools=tuple(toolbox.tools.values()),
        hosted_tools=tuple(toolbox.hosted.values()),
        tool_choice=toolbox.choice(body.get("tool_choice")),
        compact=conversation.compact,
        echo={
            name: body[name] for name in filter(body.__contains__, ECHO_DEFAULTS) if body[name] is not None
        },
        losses=(*toolbox.losses, *conversation.losses, *lost_fields(FIELDS, body)),
        **found,
    )


@dataclass(slots=True)
class Toolbox:
    """What a request declares, wherever it declares it. The first declaration of a tool counts."""

    tools: dict[tuple[str, str], neutral.Tool] = field(default_factory=dict)
    hosted: dict[str, neutral.HostedTool] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)

    def declare(self, tools: object, path: str = "tools", namespace: str = "") -> list[neutral.Tool]:
        """Add a list of declarations, and return the tools in it. Raises BadRequest."""
        declared = []
        for position, tool in enumerate(entries(tools)):
            if isinstance(tool, dict):
                declared += self._declare(tool, f"{path}[{position}]", namespace)
        return declared

    def _declare(self, given: Json, path: str, namespace: str) -> list[neutral.Tool]:
        type = text(given.get("type")) or "function"
        if type == "namespace":
            return self.declare(given.get("tools"), f"{path}.tools", text(given.get("name")))
        if type.startswith(WEB_SEARCH):
            self.hosted.setdefault(WEB_SEARCH, _web_search(given))
            return []
        decode = TOOLS.get(type)
        if decode is not None:
            tool = decode(given, path, namespace)
            return [self.tools.setdefault((tool.namespace, tool.name), tool)] if tool else []
        if type.startswith(REFUSED_TOOLS):
            raise bad_field(path, f"tools of type {type!r} cannot be sent to this upstream")
        self.losses.append(Loss(f"tools.{type}", "the tool is run by another service"))
        return []

    def choice(self, choice: object) -> ToolChoice | None:
        """Raises BadRequest for a forced tool that cannot be carried over."""
        type = text(fields(choice).get("type"))
        if type in FIXED:
            return ToolChoice("named", type)
        if type.startswith(WEB_SEARCH) and WEB_SEARCH in self.hosted:
            return ToolChoice("named", WEB_SEARCH)
        decoded = decode_choice(choice)
        if decoded is None or decoded.mode != "named" or decoded.namespace:
            return decoded
        return ToolChoice("named", decoded.name, self._namespace_of(decoded.name))

    def _namespace_of(self, name: str) -> str:
        """A choice may leave out the namespace where the name suffices."""
        if ("", name) in self.tools:
            return ""
        return next((namespace for namespace, known in self.tools if known == name), "")


def _tool_search(given: Json, _path: str, _namespace: str) -> neutral.Tool | None:
    """Run by the service, it only holds back tools that are declared anyway."""
    if given.get("execution") != "client":
        return None
    parameters = fields(given.get("parameters"))
    return neutral.Tool("tool_search", text(given.get("description")), parameters, "tool_search")


def _fixed(given: Json, _path: str, _namespace: str) -> neutral.Tool:
    return neutral.Tool(given["type"], kind=given["type"])


TOOLS: Mapping[str, Callable[[Json, str, str], neutral.Tool | None]] = {
    "function": decode_function,
    "custom": decode_custom,
    "tool_search": _tool_search,
    **dict.fromkeys(("local_shell", "shell", "apply_patch"), _fixed),
}


def _web_search(given: Json) -> neutral.HostedTool:
    filters = fields(given.get("filters"))
    location = fields(given.get("user_location"))
    options = {
        "allowed_domains": filters.get("allowed_domains"),
        "blocked_domains": filters.get("blocked_domains"),
        "user_location": {name: value for name, value in location.items() if name != "type" and value},
        "search_context_size": given.get("search_context_size"),
        "search_content_types": given.get("search_content_types"),
    }
    wanted = {name: value for name, value in options.items() if value}
    if given.get("external_web_access") is False:
        wanted["external_web_access"] = False
    return neutral.HostedTool(WEB_SEARCH, wanted)


@dataclass(slots=True)
class Conversation:
    """What the items of a request add up to."""

    toolbox: Toolbox
    known_history: KnownHistory | None = None
    system: list[str] = field(default_factory=list)
    compact: bool = False
    updates: list[Json] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    _turns: list[tuple[neutral.Role, list[neutral.Block]]] = field(default_factory=list)
    _kinds: dict[str, neutral.ToolKind] = field(default_factory=dict)
    _added: tuple[neutral.Role, tuple[neutral.Block, ...]] | None = None
    """what the item has added"""

    @property
    def messages(self) -> tuple[neutral.Message, ...]:
        return tuple(neutral.Message(role, tuple(content)) for role, content in self._turns if content)

    def decode(self, items: object) -> None:
        """Raises BadRequest."""
        if isinstance(items, str):
            self._append("user", neutral.Text(items))
            return
        if not isinstance(items, list):
            message = "Field required" if items is None else "Input should be a text or a list of items"
            raise bad_field("input", message)
        for position, item in enumerate(items):
            if isinstance(item, KnownItem):
                self._add(item.role, *item.value)
                continue
            path = f"input[{position}]"
            if isinstance(item, str):
                item = {"type": "input_text", "text": item}
            if not isinstance(item, dict):
                raise bad_field(path, "Input should be an object")
            self._added = None
            type = text(item.get("type")) or _implied_type(item)
            self._item(type, item, path)
            if self.known_history is not None and self._added is not None and type in ALONE:
                role, blocks = self._added
                self.known_history.keep(position, role, blocks, blocks)
        if self.known_history is not None:
            self.known_history.close()

    def _item(self, type: str, item: Json, path: str) -> None:
        decode = ITEMS.get(type)
        if decode is not None:
            decode(self, item, path)
        elif type in PARTS:
            self._append(
                "assistant" if type in OWN_PARTS else "user", decode_part({**item, "type": type}, path)
            )
        else:
            self.losses.append(Loss(f"input.{type}", "the item belongs to another service"))

    def _add(self, role: neutral.Role, *blocks: neutral.Block) -> None:
        """What an item means: calls tell the kinds of their results."""
        self._added = role, blocks
        for block in blocks:
            if isinstance(block, neutral.ToolCall):
                self._kinds[block.id] = block.kind
        if role == "system" and not self._turns:
            if joined := text_of(blocks):
                self.system.append(joined)
        else:
            self._append(role, *(self._of_its_kind(block) for block in blocks))

    def _of_its_kind(self, block: neutral.Block) -> neutral.Block:
        if not isinstance(block, neutral.ToolResult):
            return block
        kind = self._kinds.get(block.call_id, block.kind)
        return block if kind == block.kind else replace(block, kind=kind)

    def _append(self, role: neutral.Role, *blocks: neutral.Block) -> None:
        """One message for all that one side contributes in a row."""
        if self._turns and self._turns[-1][0] == role != "system":
            self._turns[-1][1].extend(blocks)
        else:
            self._turns.append((role, list(blocks)))

    def _message(self, item: Json, path: str) -> None:
        role = text(item.get("role"))
        content = decode_content(item.get("content"), f"{path}.content")
        if role in SYSTEM_ROLES:
            self._add("system", *content)
        elif role in ("user", "assistant"):
            self._add("assistant" if role == "assistant" else "user", *content)
        else:
            message = f"{path}.role: {role!r} is none of user, assistant, developer, system"
            raise BadRequest(message, path)

    def _agent_message(self, item: Json, path: str) -> None:
        """The task of an agent, or what another one answered."""
        self._append("user", *decode_content(item.get("content"), f"{path}.content"))
        if any(map(holds_ciphertext, entries(item.get("content")))):
            self.losses.append(Loss("input.agent_message", "only the service that encrypted it can read it"))

    def _call(self, item: Json, path: str) -> None:
        if item["type"] == "tool_search_call" and item.get("execution") == "server":
            return
        call = decode_call(item)
        if not call.id or not call.name:
            raise bad_field(f"{path}.{'name' if call.id else 'call_id'}", "Field required")
        self._add("assistant", call)

    def _output(self, item: Json, path: str) -> None:
        call_id = text(item.get("call_id")) or text(item.get("id"))
        if not call_id:
            raise bad_field(f"{path}.call_id", "Field required")
        output = item.get("output")
        content = _outputs(
            json_text(output) if item["type"] == "shell_call_output" else output, f"{path}.output"
        )
        is_error = item.get("status") == "failed"
        self._add("user", neutral.ToolResult(call_id, content, is_error, OUTPUT_KINDS[item["type"]]))

    def _search_output(self, item: Json, path: str) -> None:
        """The tools that a search found are callable from now on."""
        found = self.toolbox.declare(item.get("tools"), f"{path}.tools")
        if not text(item.get("call_id")):
            return
        names = [f"{tool.namespace}__{tool.name}" if tool.namespace else tool.name for tool in found]
        joined = neutral.Text(f"Found tools: {', '.join(names)}" if names else "No tools found.")
        self._append("user", neutral.ToolResult(item["call_id"], (joined,), kind="tool_search"))

    def _additional_tools(self, item: Json, path: str) -> None:
        self.toolbox.declare(item.get("tools"), f"{path}.tools")

    def _reasoning(self, item: Json, _: str) -> None:
        thinking = decode_reasoning(item)
        if thinking is not None:
            self._add("assistant", thinking)

    def _web_search(self, item: Json, _: str) -> None:
        action = fields(item.get("action"))
        query = text(action.get("query")) or text(action.get("url"))
        self._append("assistant", neutral.WebSearch(text(item.get("id")), query))

    def _compaction(self, item: Json, _: str) -> None:
        payload = text(item.get("encrypted_content"))
        summary = summary_in(payload)
        if summary is None:
            self._append("assistant", neutral.Compaction(payload))
        else:
            self._append("user", summary_turn(summary))

    def _context_compaction(self, item: Json, path: str) -> None:
        """Codex also marks with it where it has compacted the conversation itself."""
        if text(item.get("encrypted_content")):
            self._compaction(item, path)

    def _update(self, item: Json, _: str) -> None:
        self.updates.append(item)

    def _trigger(self, _item: Json, _path: str) -> None:
        self.compact = True

    def _reference(self, item: Json, path: str) -> None:
        raise bad_field(path, f"item {text(item.get('id'))!r} is not known: {NOT_KNOWN}")


ITEMS: Mapping[str, Callable[[Conversation, Json, str], None]] = {
    "message": Conversation._message,
    "agent_message": Conversation._agent_message,
    **dict.fromkeys(CALL_KINDS, Conversation._call),
    **dict.fromkeys(OUTPUT_KINDS, Conversation._output),
    "tool_search_output": Conversation._search_output,
    "additional_tools": Conversation._additional_tools,
    "reasoning": Conversation._reasoning,
    "web_search_call": Conversation._web_search,
    "compaction": Conversation._compaction,
    "compaction_summary": Conversation._compaction,
    "context_compaction": Conversation._context_compaction,
    "compaction_trigger": Conversation._trigger,
    UPDATE: Conversation._update,
    "item_reference": Conversation._reference,
}


ALONE = frozenset({"message", "reasoning", *CALL_KINDS, *OUTPUT_KINDS})
"""Types of items that mean the same wherever they stand, but for the kind of a result."""


def _implied_type(item: Json) -> str:
    """Of an item that names none."""
    if "role" in item:
        return "message"
    return "input_text" if "text" in item else "item_reference"


def _outputs(output: object, path: str) -> tuple[Part, ...]:
    """What a tool returned: a text, or parts, or parts as a text."""
    if isinstance(output, str) and output.lstrip().startswith(STRINGIFIED_PARTS):
        output = parsed(output) or output
    if output is None:
        return ()
    if not isinstance(output, list):
        words = output if isinstance(output, str) else json_text(output)
        return (neutral.Text(words),) if words else ()
    return tuple(_output(part, f"{path}[{position}]") for position, part in enumerate(output))


def _output(part: object, path: str) -> Part:
    """What only another service knows is still an answer to the model."""
    if str(fields(part).get("type")) not in PARTS:
        return neutral.Text(json_text(part))
    decoded = decode_part(part, path)
    return decoded if isinstance(decoded, Part) else neutral.Text(decoded.text)

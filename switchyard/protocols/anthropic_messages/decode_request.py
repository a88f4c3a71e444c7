"""Decode the Messages requests of clients.

https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.fields import FIELDS
from switchyard.protocols.anthropic_messages.mid_conversation import (
    ADDITION,
    REMOVAL,
    effort_of_turn,
    is_cleared,
    last_compaction,
    tools_in_effect,
)
from switchyard.protocols.anthropic_messages.signatures import carried_text, opened
from switchyard.protocols.anthropic_messages.vendor_tools import (
    CLIENT_TOOLS,
    NOT_EXPRESSIBLE,
    UNNEEDED,
    VERSION,
)
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.content import (
    PDF,
    PLAIN_TEXT,
    Part,
    document_in,
    inline_image,
    summary_turn,
)
from switchyard.protocols.effort import UNKNOWN_EFFORT
from switchyard.protocols.fields import NO_EFFORT, NOWHERE_ELSE, decode_fields, effort, lost_fields
from switchyard.protocols.neutral import Loss, ToolChoice
from switchyard.protocols.tools.choice import MCP, WEB_SEARCH
from switchyard.protocols.tools.placeholder import is_placeholder
from switchyard.protocols.wire import (
    Json,
    bad_field,
    decode_body,
    fields,
    joined,
    json_text,
    required_text,
    text,
)

ECHOED = ("id", "type", "model", "stop_reason", "stop_sequence", "stop_details", "container", "usage")
"""Members of an answer that is sent back whole."""
ROLES: Mapping[str, neutral.Role] = {"user": "user", "assistant": "assistant", "system": "system"}
SEARCH_OPTIONS = ("allowed_domains", "blocked_domains", "max_uses")
MESSAGE_MEMBERS = frozenset({"role", "content", "output_config", "clear_at", "cache_control", *ECHOED})
LOCATION = ("city", "region", "country", "timezone")
MODES = {"auto": ToolChoice("auto"), "any": ToolChoice("required"), "none": ToolChoice("none")}


def decode_request(body: bytes) -> neutral.Request:
    """Raises BadRequest, with the field's path."""
    given = decode_body(body)
    losses = lost_fields(FIELDS, given)
    found = decode_fields(FIELDS, given)
    tools, hosted = _tools(given, losses)
    choice, parallel = _tool_choice(given.get("tool_choice"))
    reasoning = found.pop("reasoning", neutral.Reasoning())
    return neutral.Request(
        model=required_text(given, "model"),
        messages=_messages(given.get("messages"), losses),
        system=_system(given.get("system"), losses),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        include_usage=True,
        reasoning=_of_turn(reasoning, given.get("messages"), losses),
        losses=tuple(losses),
        **found | {"hosted_tools": (*hosted, *found.get("hosted_tools", ()))},
    )


def _messages(given: object, losses: list[Loss]) -> tuple[neutral.Message, ...]:
    if not isinstance(given, list):
        raise bad_field("messages", "Field required")
    if not given:
        raise bad_field("messages", "at least one message is required")
    compacted = last_compaction(given)
    messages = [] if compacted is None else [neutral.Message("user", (summary_turn(compacted.summary),))]
    for number, message in enumerate(given):
        path = f"messages.{number}"
        role = ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            raise bad_field(f"{path}.role", "Input should be 'user', 'assistant' or 'system'")
        if (compacted is not None and number < compacted.message) or is_cleared(given, number):
            continue
        losses += _lost_members(message, path)
        content = message.get("content")
        if compacted is not None and number == compacted.message:
            content = content[compacted.block :]
        if blocks := _content(role, content, f"{path}.content", losses):
            messages.append(neutral.Message(role, blocks))
    return tuple(messages)


def _lost_members(message: Json, path: str) -> list[Loss]:
    """What a message sets beyond its content, but for the effort, which is that of the turn."""
    sets = fields(message.get("output_config"))
    names = [
        *(name for name in message if name not in MESSAGE_MEMBERS),
        *(f"output_config.{name}" for name in sets if name != "effort"),
    ]
    return [Loss(f"{path}.{name}", NOWHERE_ELSE) for name in names]


def _of_turn(reasoning: neutral.Reasoning, messages: object, losses: list[Loss]) -> neutral.Reasoning:
    """With the effort that the conversation sets last, if it does."""
    given = effort_of_turn(messages)
    if given is None or given in NO_EFFORT:
        return reasoning
    decoded = effort(given, "messages")
    if decoded is None:
        losses.append(Loss("messages.output_config.effort", UNKNOWN_EFFORT))
        return reasoning
    return replace(reasoning, effort=decoded.effort)


def _system(system: object, losses: list[Loss]) -> tuple[str, ...]:
    if system is None:
        return ()
    blocks = _content("system", system, "system", losses)
    return tuple(block.text for block in blocks if isinstance(block, neutral.Text))


# --- tools ----------------------------------------------------------------------


def _tools(
    request: Json, losses: list[Loss]
) -> tuple[tuple[neutral.Tool, ...], tuple[neutral.HostedTool, ...]]:
    """The tools that the client runs and those it wants the upstream to run, as they are at this turn."""
    given = [] if request.get("tools") is None else request["tools"]
    if not isinstance(given, list):
        raise bad_field("tools", "Input should be a valid list")
    tools: list[neutral.Tool] = []
    hosted: list[neutral.HostedTool] = []
    for number, tool in enumerate(tools_in_effect(given, request.get("messages"), losses)):
        path = f"tools.{number}"
        if is_placeholder(tool):
            continue
        if not isinstance(tool, dict):
            raise bad_field(path, "Input should be an object")
        type = str(tool.get("type") or "custom")
        family = VERSION.sub("", type)
        if type == "custom":
            tools.append(_custom_tool(tool, path))
        elif family in CLIENT_TOOLS:
            tools.append(neutral.Tool(required_text(tool, "name", path), *CLIENT_TOOLS[family]))
        elif family in NOT_EXPRESSIBLE:
            raise bad_field(path, f"tools of type {type!r} are not supported by this upstream")
        elif family not in UNNEEDED:
            hosted.append(_hosted_tool(family, tool))
    return tuple(tools), tuple(hosted)


def _custom_tool(tool: Json, path: str) -> neutral.Tool:
    examples = tool.get("input_examples")
    strict = tool.get("strict")
    return neutral.Tool(
        required_text(tool, "name", path),
        joined(
            (text(tool.get("description")), f"Examples of input: {json_text(examples)}" if examples else "")
        ),
        fields(tool.get("input_schema")),
        strict=strict if isinstance(strict, bool) else None,
    )


def _hosted_tool(family: str, tool: Json) -> neutral.HostedTool:
    if family != WEB_SEARCH:
        kept = {name: value for name, value in tool.items() if name not in ("type", "cache_control")}
        return neutral.HostedTool(MCP if family == "mcp_toolset" else family, kept)
    options = {name: tool[name] for name in SEARCH_OPTIONS if tool.get(name) is not None}
    if isinstance(location := tool.get("user_location"), dict):
        options["user_location"] = {name: location[name] for name in LOCATION if location.get(name)}
    return neutral.HostedTool(WEB_SEARCH, options)


def _tool_choice(choice: object) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several calls at once are welcome."""
    if choice is None:
        return None, None
    if not isinstance(choice, dict):
        raise bad_field("tool_choice", "Input should be an object")
    parallel = False if choice.get("disable_parallel_tool_use") else None
    if choice.get("type") == "tool":
        return ToolChoice("named", required_text(choice, "name", "tool_choice")), parallel
    mode = MODES.get(str(choice.get("type")))
    if mode is None:
        raise bad_field("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")
    return mode, parallel


# --- blocks ---------------------------------------------------------------------


class Block(msgspec.Struct, frozen=True):
    """A block with its path, and the blocks beside it."""

    given: Json
    path: str
    siblings: Sequence[Any] = ()

    def optional(self, name: str) -> str:
        return text(self.given.get(name))

    def text(self, name: str) -> str:
        value = self.given.get(name)
        if not isinstance(value, str):
            raise bad_field(f"{self.path}.{name}", "Input should be a valid string")
        return value

    @property
    def source(self) -> "Block":
        source = self.given.get("source")
        if not isinstance(source, dict):
            raise bad_field(f"{self.path}.source", "Field required")
        return Block(source, f"{self.path}.source")

    def refuse(self, what: str) -> BadRequest:
        return bad_field(self.path, what)


Decode = Callable[[Block], Sequence[neutral.Block]]


def _content(role: neutral.Role, content: object, path: str, losses: list[Loss]) -> tuple[neutral.Block, ...]:
    """The blocks of a message. Unknown input of the user is an error, any other unknown block a loss.

    What is an error once is one for the rest of the conversation, which the user may not be able to change.
    """
    if isinstance(content, str):
        return (neutral.Text(content),) if content.strip() else ()
    blocks: list[neutral.Block] = []
    for block in _blocks(content, path):
        kind = block.given.get("type")
        decode = BLOCKS[role].get(str(kind))
        if decode is not None:
            blocks += decode(block)
            losses += _lost_call(block)
        elif role != "user":
            losses.append(Loss(block.path, f"no other protocol has blocks of type {kind!r}"))
        else:
            raise block.refuse(f"blocks of type {kind!r} are not supported in {role} messages")
    return tuple(blocks)


def _lost_call(block: Block) -> list[Loss]:
    """A call of a tool that the service ran itself, other than a search."""
    name = block.optional("name")
    if block.given.get("type") != "server_tool_use" or name == WEB_SEARCH:
        return []
    return [Loss(block.path, f"no other protocol has calls of {name!r}")]


def _parts(content: object, path: str) -> list[Part]:
    """The content inside another block."""
    if content is None or isinstance(content, str):
        return [*_plain(content or "")]
    parts: list[Part] = []
    for block in _blocks(content, path):
        decode = PARTS.get(str(block.given.get("type")))
        if decode is None:
            raise block.refuse("only text, images, documents and search results are supported here")
        parts += (part for part in decode(block) if isinstance(part, Part))
    return parts


def _blocks(content: object, path: str) -> Iterator[Block]:
    if not isinstance(content, list):
        raise bad_field(path, "Input should be a string or a list of blocks")
    for number, given in enumerate(content):
        block = Block(given, f"{path}.{number}", content)
        if not isinstance(given, dict):
            raise block.refuse("Input should be an object")
        yield block


def _plain(words: str) -> list[neutral.Text]:
    return [neutral.Text(words)] if words.strip() else []


def _text(block: Block) -> Sequence[neutral.Block]:
    return _plain(block.text("text"))


def _image(block: Block) -> Sequence[neutral.Block]:
    source = block.source
    match source.given.get("type"):
        case "base64":
            return [inline_image(source.text("data"), source.optional("media_type"))]
        case "url":
            return [neutral.Image(url=source.text("url"))]
        case kind:
            raise block.refuse(f"image sources of type {kind!r} cannot be read by another upstream")


def _document(block: Block) -> Sequence[neutral.Block]:
    source = block.source
    about = {"title": block.optional("title"), "context": block.optional("context")}
    match source.given.get("type"):
        case "base64":
            media_type = source.optional("media_type") or PDF
            return [document_in(source.text("data"), f"{source.path}.data", media_type, **about)]
        case "text":
            return [neutral.Document(PLAIN_TEXT, source.text("data"), **about)]
        case "url":
            return [neutral.Document(url=source.text("url"), **about)]
        case "content":
            heading = joined(tuple(about.values()))
            nested = _parts(source.given.get("content"), f"{source.path}.content")
            return [*([neutral.Text(heading)] if heading else []), *nested]
        case kind:
            raise block.refuse(f"document sources of type {kind!r} cannot be read by another upstream")


def _search_result(block: Block) -> Sequence[neutral.Block]:
    heading = joined((block.optional("title"), block.optional("source")), "\n")
    parts = _parts(block.given.get("content"), block.path)
    texts = [part.text for part in parts if isinstance(part, neutral.Text)]
    return [neutral.Text(joined((heading, *texts)))]


def _tool_reference(block: Block) -> Sequence[neutral.Block]:
    return [neutral.Text(f"[The tool {block.optional('tool_name')} is available.]")]


def _tool_result(block: Block) -> Sequence[neutral.Block]:
    content = _parts(block.given.get("content"), f"{block.path}.content")
    is_error = bool(block.given.get("is_error"))
    return [neutral.ToolResult(block.text("tool_use_id"), tuple(content), is_error)]


def _thinking(block: Block) -> Sequence[neutral.Block]:
    seal = block.optional("signature")
    return [neutral.Thinking(block.optional("thinking") or carried_text(seal), opened(seal))]


def _redacted_thinking(block: Block) -> Sequence[neutral.Block]:
    seal = block.optional("data")
    return [neutral.Thinking(carried_text(seal), opened(seal), redacted=True)]


def _tool_use(block: Block) -> Sequence[neutral.Block]:
    arguments = json_text(block.given.get("input") or {})
    return [neutral.ToolCall(block.text("id"), block.text("name"), arguments)]


def _server_tool_use(block: Block) -> Sequence[neutral.Block]:
    """Only searches are known elsewhere; what was found stands in a block of its own."""
    if block.given.get("name") != WEB_SEARCH:
        return []
    id = block.optional("id")
    results = (other for other in map(fields, block.siblings) if other.get("tool_use_id") == id)
    query = text(fields(block.given.get("input")).get("query"))
    return [neutral.WebSearch(id, query, sources_of(next(results, {}).get("content")))]


def _nothing(_: Block) -> Sequence[neutral.Block]:
    return []


PARTS: Mapping[str, Decode] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
}
BLOCKS: Mapping[neutral.Role, Mapping[str, Decode]] = {
    "user": {
        "text": _text,
        "image": _image,
        "document": _document,
        "search_result": _search_result,
        "tool_result": _tool_result,
    },
    "assistant": {
        "text": _text,
        "thinking": _thinking,
        "redacted_thinking": _redacted_thinking,
        "tool_use": _tool_use,
        "server_tool_use": _server_tool_use,
        "web_search_tool_result": _nothing,
        "compaction": _nothing,
    },
    "system": {"text": _text, ADDITION: _nothing, REMOVAL: _nothing},
}


def sources_of(content: object) -> tuple[neutral.Citation, ...]:
    """The pages that a `web_search_tool_result` lists."""
    results = map(fields, content if isinstance(content, list) else ())
    return tuple(
        neutral.Citation(url, text(result.get("title")))
        for result in results
        if (url := text(result.get("url")))
    )

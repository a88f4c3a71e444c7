"""Decode the Messages requests of clients.

https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.anthropic_messages import mid_conversation, vendor_tools
from switchyard.protocols.anthropic_messages.fields import FIELDS
from switchyard.protocols.anthropic_messages.signatures import decode_thinking, opened
from switchyard.protocols.anthropic_messages.usual_message import usual_message
from switchyard.protocols.anthropic_messages.wire import sources_of
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.content import PDF, PLAIN_TEXT, Part, document_in, inline_image, summary_turn
from switchyard.protocols.effort import UNKNOWN_EFFORT
from switchyard.protocols.fields import NO_EFFORT, NOWHERE_ELSE, decode_fields, effort, lost_fields
from switchyard.protocols.known_history import KnownHistory, decode_known
from switchyard.protocols.message_memory import History, KnownItem
from switchyard.protocols.neutral import Loss, ToolChoice
from switchyard.protocols.tools.choice import MCP, WEB_SEARCH
from switchyard.protocols.tools.placeholder import is_placeholder
from switchyard.protocols.wire import (
    Json,
    bad_field,
    fields,
    joined,
    json_text,
    required_text,
    text,
)

ECHOED = ("id", "type", "model", "stop_reason", "stop_sequence", "stop_details", "container", "usage")
"""Members of an answer that is sent back whole."""
PLAIN_MEMBERS = frozenset({"role", "content"})
MESSAGE_MEMBERS = frozenset({*PLAIN_MEMBERS, "output_config", "clear_at", "cache_control", *ECHOED})
ALONE = MESSAGE_MEMBERS - {"output_config", "clear_at"}
ROLES: Mapping[str, neutral.Role] = {"user": "user", "assistant": "assistant", "system": "system"}
SEARCH_OPTIONS = ("allowed_domains", "blocked_domains", "max_uses")
LOCATION = ("city", "region", "country", "timezone")
UNCITED = Loss("citations", "no other protocol cites documents")
NO_OBJECT = "Input should be an object"
NO_REASONING = neutral.Reasoning()
MODES = {"auto": ToolChoice("auto"), "any": ToolChoice("required"), "none": ToolChoice("none")}


def decode_request(body: bytes, history: History | None = None) -> neutral.Request:
    """Raises BadRequest, with the field's path."""
    given, known_history = decode_known(body, "messages", "messages", history, usual_message)
    losses = lost_fields(FIELDS, given)
    found = decode_fields(FIELDS, given)
    model, messages = required_text(given, "model"), _given_messages(given)
    changes = mid_conversation.changes_in(messages)
    tools, hosted = _tools(given.get("tools"), changes, losses)
    choice, parallel = _tool_choice(given.get("tool_choice"))
    content = Content(losses)
    decoded = _messages(messages, changes, content, known_history)
    reasoning = found.pop("reasoning", NO_REASONING)
    return neutral.Request(
        model,
        decoded,
        _system(given.get("system"), content),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        include_usage=True,
        reasoning=_of_turn(reasoning, content) if content.configured else reasoning,
        losses=tuple(losses),
        **found | {"hosted_tools": (*hosted, *found.get("hosted_tools", ()))},
    )


def _given_messages(given: Json) -> list[Any]:
    messages = given.get("messages")
    if not isinstance(messages, list):
        raise bad_field("messages", "Field required")
    if not messages:
        raise bad_field("messages", "at least one message is required")
    return messages


def _messages(
    given: list[Any],
    changes: Sequence[mid_conversation.Change],
    content: "Content",
    known_history: KnownHistory | None,
) -> tuple[neutral.Message, ...]:
    messages: list[neutral.Message] = []
    compacted, changing = None, frozenset[int]()
    if changes:
        compacted = mid_conversation.last_compaction(changes)
        changing = frozenset(number for number, *_ in changes)
    if compacted is not None:
        messages.append(neutral.Message("user", (summary_turn(compacted.summary),)))
    last_user: int | None = None
    for number, message in enumerate(given):
        if isinstance(message, KnownItem):
            if message.value is not None and (compacted is None or number >= compacted.message):
                messages.append(message.value)
            continue
        path = f"messages.{number}"
        role = ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            raise bad_field(f"{path}.role", "Input should be 'user', 'assistant' or 'system'")
        is_plain = message.keys() <= PLAIN_MEMBERS
        if not is_plain and "output_config" in message:
            content.configured.append(message)
        if compacted is not None and number < compacted.message:
            continue
        if not is_plain:
            if last_user is None:
                last_user = mid_conversation.last_user_message(given)
            if number < last_user and mid_conversation.is_temporary(message):
                continue
            content.losses += _lost_members(message, path)
        shown = message.get("content")
        if compacted is not None and number == compacted.message:
            shown = shown[compacted.block :]
        content.is_lossless = True
        blocks = content.blocks(role, shown, f"{path}.content")
        decoded = neutral.Message(role, blocks) if blocks else None
        if decoded is not None:
            messages.append(decoded)
        if known_history is None or not content.is_lossless or number in changing:
            continue
        if is_plain or message.keys() <= ALONE:
            # it changes nothing beside its content, and nothing of it is lost
            known_history.keep(number, role, decoded, blocks)
    if known_history is not None:
        known_history.close()
    return tuple(messages)


def _lost_members(message: Json, path: str) -> list[Loss]:
    """What a message sets beyond its content, but for the effort, which is that of the turn."""
    config = fields(message.get("output_config"))
    names = [name for name in message if name not in MESSAGE_MEMBERS]
    names += [f"output_config.{name}" for name in config if name != "effort"]
    return [Loss(f"{path}.{name}", NOWHERE_ELSE) for name in names]


def _of_turn(reasoning: neutral.Reasoning, content: "Content") -> neutral.Reasoning:
    """With the effort that the conversation sets last, if it does."""
    given = mid_conversation.effort_of_turn(content.configured)
    if given is None or given in NO_EFFORT:
        return reasoning
    decoded = effort(given, "messages")
    if decoded is None:
        content.losses.append(Loss("messages.output_config.effort", UNKNOWN_EFFORT))
        return reasoning
    return replace(reasoning, effort=decoded.effort)


def _system(system: object, content: "Content") -> tuple[str, ...]:
    blocks = () if system is None else content.blocks("system", system, "system")
    return tuple(block.text for block in blocks if isinstance(block, neutral.Text))


def _tools(
    given: object, changes: Sequence[mid_conversation.Change], losses: list[Loss]
) -> tuple[tuple[neutral.Tool, ...], tuple[neutral.HostedTool, ...]]:
    """The tools that the client runs and those it wants the upstream to run, as they are at this turn."""
    if given is not None and not isinstance(given, list):
        raise bad_field("tools", "Input should be a valid list")
    if not given and not changes:
        return (), ()
    tools: list[neutral.Tool] = []
    hosted: list[neutral.HostedTool] = []
    for number, tool in enumerate(mid_conversation.tools_in_effect(given or [], changes, losses)):
        path = f"tools.{number}"
        if is_placeholder(tool):
            continue
        if not isinstance(tool, dict):
            raise bad_field(path, NO_OBJECT)
        type = str(tool.get("type") or "custom")
        if type == "custom":
            tools.append(_custom_tool(tool, path))
            continue
        family = vendor_tools.VERSION.sub("", type)
        if family in vendor_tools.CLIENT_TOOLS:
            tools.append(neutral.Tool(required_text(tool, "name", path), *vendor_tools.CLIENT_TOOLS[family]))
        elif family in vendor_tools.NOT_EXPRESSIBLE:
            raise bad_field(path, f"tools of type {type!r} are not supported by this upstream")
        elif family not in vendor_tools.UNNEEDED:
            hosted.append(_hosted_tool(family, tool))
    return tuple(tools), tuple(hosted)


def _custom_tool(tool: Json, path: str) -> neutral.Tool:
    examples, strict = tool.get("input_examples"), tool.get("strict")
    shown = f"Examples of input: {json_text(examples)}" if examples else ""
    return neutral.Tool(
        required_text(tool, "name", path),
        joined((text(tool.get("description")), shown)),
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


class Content:
    """Decodes the blocks of messages; `losses` gets what no other protocol can carry.

    `configured`: the messages that set more than their content. `is_lossless`: turns False with what is lost.
    """

    def __init__(self, losses: list[Loss]) -> None:
        self.losses = losses
        self.configured: list[Json] = []
        self.is_lossless = True
        self._siblings: list[Any] = []

    def blocks(self, role: neutral.Role, content: object, path: str) -> tuple[neutral.Block, ...]:
        """Unknown input of the user is an error, any other unknown block a loss.

        What is an error once is one for the rest of the conversation, which the user may not be able to change.
        """
        if isinstance(content, str):
            return tuple(_plain(content))
        self._siblings = _list_of_blocks(content, path)
        known = BLOCKS[role]
        blocks: list[neutral.Block] = []
        for number, block in enumerate(self._siblings):
            place = f"{path}.{number}"
            if not isinstance(block, dict):
                raise bad_field(place, NO_OBJECT)
            kind = block.get("type")
            decode = known.get(str(kind))
            if decode is not None:
                blocks += decode(self, block, place)
            elif role != "user":
                self._lose(Loss(place, f"no other protocol has blocks of type {kind!r}"))
            else:
                raise bad_field(place, f"blocks of type {kind!r} are not supported in {role} messages")
        return tuple(blocks)

    def parts(self, content: object, path: str) -> list[Part]:
        """The content inside another block."""
        if content is None or isinstance(content, str):
            return [*_plain(content or "")]
        parts: list[Part] = []
        for number, block in enumerate(_list_of_blocks(content, path)):
            place = f"{path}.{number}"
            if not isinstance(block, dict):
                raise bad_field(place, NO_OBJECT)
            decode = PARTS.get(str(block.get("type")))
            if decode is None:
                raise bad_field(place, "only text, images, documents and search results are supported here")
            parts += decode(self, block, place)
        return parts

    def _text(self, block: Json, path: str) -> Sequence[Part]:
        return _plain(_string(block, "text", path))

    def _image(self, block: Json, path: str) -> Sequence[Part]:
        source, inside = _source(block, path)
        match source.get("type"):
            case "base64":
                return [inline_image(_string(source, "data", inside), text(source.get("media_type")))]
            case "url":
                return [neutral.Image(url=_string(source, "url", inside))]
        raise _foreign_source("image", source, path)

    def _lose(self, loss: Loss) -> None:
        self.is_lossless = False
        self.losses.append(loss)

    def _lose_citations(self, block: Json) -> None:
        if fields(block.get("citations")).get("enabled") is True:
            self.is_lossless = False
            if UNCITED not in self.losses:
                self.losses.append(UNCITED)

    def _document(self, block: Json, path: str) -> Sequence[Part]:
        self._lose_citations(block)
        source, inside = _source(block, path)
        about = {"title": text(block.get("title")), "context": text(block.get("context"))}
        match source.get("type"):
            case "base64":
                media_type = text(source.get("media_type")) or PDF
                return [document_in(_string(source, "data", inside), f"{inside}.data", media_type, **about)]
            case "text":
                return [neutral.Document(PLAIN_TEXT, _string(source, "data", inside), **about)]
            case "url":
                return [neutral.Document(url=_string(source, "url", inside), **about)]
            case "content":
                heading = joined(tuple(about.values()))
                return [*_plain(heading), *self.parts(source.get("content"), f"{inside}.content")]
        raise _foreign_source("document", source, path)

    def _search_result(self, block: Json, path: str) -> Sequence[Part]:
        self._lose_citations(block)
        heading = joined((text(block.get("title")), text(block.get("source"))), "\n")
        parts = self.parts(block.get("content"), path)
        texts = [part.text for part in parts if isinstance(part, neutral.Text)]
        return [neutral.Text(joined((heading, *texts)))]

    def _tool_reference(self, block: Json, _: str) -> Sequence[Part]:
        return [neutral.Text(f"[The tool {text(block.get('tool_name'))} is available.]")]

    def _tool_result(self, block: Json, path: str) -> Sequence[neutral.Block]:
        content = tuple(self.parts(block.get("content"), f"{path}.content"))
        is_error = bool(block.get("is_error"))
        return [neutral.ToolResult(_string(block, "tool_use_id", path), content, is_error)]

    def _thinking(self, block: Json, _: str) -> Sequence[neutral.Block]:
        return [decode_thinking(text(block.get("thinking")), text(block.get("signature")))]

    def _redacted_thinking(self, block: Json, _: str) -> Sequence[neutral.Block]:
        seal = text(block.get("data"))
        return [neutral.Thinking(carrier.carried_text(seal) or "", opened(seal), redacted=True)]

    def _tool_use(self, block: Json, path: str) -> Sequence[neutral.Block]:
        arguments = json_text(block.get("input") or {})
        return [neutral.ToolCall(_string(block, "id", path), _string(block, "name", path), arguments)]

    def _server_tool_use(self, block: Json, path: str) -> Sequence[neutral.Block]:
        """Only searches are known elsewhere; what was found stands in a block of its own."""
        name, id = block.get("name"), text(block.get("id"))
        if name != WEB_SEARCH:
            self._lose(Loss(path, f"no other protocol has calls of {text(name)!r}"))
            return []
        results = (other for other in map(fields, self._siblings) if other.get("tool_use_id") == id)
        query = text(fields(block.get("input")).get("query"))
        return [neutral.WebSearch(id, query, sources_of(next(results, {}).get("content")))]

    def _nothing(self, _block: Json, _path: str) -> Sequence[neutral.Block]:
        return []


PARTS: Mapping[str, Callable[[Content, Json, str], Sequence[Part]]] = {
    "text": Content._text,
    "image": Content._image,
    "document": Content._document,
    "search_result": Content._search_result,
    "tool_reference": Content._tool_reference,
}
BLOCKS: Mapping[neutral.Role, Mapping[str, Callable[[Content, Json, str], Sequence[neutral.Block]]]] = {
    "user": {
        **{kind: PARTS[kind] for kind in ("text", "image", "document", "search_result")},
        "tool_result": Content._tool_result,
    },
    "assistant": {
        "text": Content._text,
        "thinking": Content._thinking,
        "redacted_thinking": Content._redacted_thinking,
        "tool_use": Content._tool_use,
        "server_tool_use": Content._server_tool_use,
        "web_search_tool_result": Content._nothing,
        "compaction": Content._nothing,
    },
    "system": {
        "text": Content._text,
        mid_conversation.ADDITION: Content._nothing,
        mid_conversation.REMOVAL: Content._nothing,
    },
}


def _list_of_blocks(content: object, path: str) -> list[Any]:
    if not isinstance(content, list):
        raise bad_field(path, "Input should be a string or a list of blocks")
    return content


def _plain(words: str) -> list[neutral.Text]:
    return [] if not words or words.isspace() else [neutral.Text(words)]


def _string(block: Json, name: str, path: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise bad_field(f"{path}.{name}", "Input should be a valid string")
    return value


def _source(block: Json, path: str) -> tuple[Json, str]:
    """The source of a block, and its path."""
    source = block.get("source")
    if not isinstance(source, dict):
        raise bad_field(f"{path}.source", "Field required")
    return source, f"{path}.source"


def _foreign_source(what: str, source: Json, path: str) -> BadRequest:
    return bad_field(
        path, f"{what} sources of type {source.get('type')!r} cannot be read by another upstream"
    )

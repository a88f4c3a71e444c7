"""Which tools a request offers, in all the places where clients name them: a call of any other was not asked for.

What Claude Code and Codex run beyond their `tools` was measured (docs/client-behavior.md).
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.passthrough.peek import ABSENT, HISTORY, Document
from switchyard.protocols.wire import UNREADABLE, entries, fields, parsed, text

OF_SERVERS = re.compile(
    r"(?:web_search|web_fetch|(?:\w+_)?code_execution|code_interpreter|computer|file_search|image_generation|tool_search|"
    r"google_search|mcp_(?!_))\w*"
)
"""Tools that upstreams run themselves, whatever their version."""
ALIASES: frozenset[str] = frozenset(
    "Task KillShell KillBash BashOutput BashOutputTool AgentOutput AgentOutputTool ListMcpResources ReadMcpResource "
    "ReadMcpResourceDir RunWorkflow".split()
)
"""Older names under which Claude Code still runs its tools."""
DEFERRED_TOOLS = "deferred tools"
DEFERRED_NAMESPACES = "Deferred tool namespaces"
TOOL_LINE = re.compile(r"^\s*(?:- )?([\w.-]{1,128})\s*$", re.MULTILINE)
NAMESPACE_LINE = re.compile(r"^- ([\w.-]{1,128}):", re.MULTILINE)
NAMES_TOOLS = (b"tool_use", b"tool_reference", b"tool_addition", b"eferred tool")
"""one of these stands in every content that names tools"""
SEPARATORS = ("__", ".", "/")


class _Function(msgspec.Struct):
    name: Any = None


class _Tool(msgspec.Struct):
    """What of a definition matters; the schemas, which are most of it, are passed over."""

    name: Any = None
    type: Any = None
    function: _Function | None = None
    custom: _Function | None = None
    tools: msgspec.Raw = ABSENT


class _Item(msgspec.Struct):
    """One message or item of the conversation."""

    type: Any = None
    name: Any = None
    namespace: Any = None
    tools: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    tool_calls: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT


_read_tools = msgspec.json.Decoder(list[_Tool]).decode
_read_items = msgspec.json.Decoder(list[_Item]).decode


class OfferedTools:
    """The tools of one request; nothing is read before the first call."""

    def __init__(self, document: Document, client: ClientProgram) -> None:
        self._document = document
        self._client = client

    def has(self, call: neutral.ToolCall) -> bool:
        """True if the request offers this tool, or the conversation or the client knows it."""
        if call.namespace:
            wanted = _joined(call.namespace, call.name)
            return bool(
                wanted & self._declared or call.namespace in self._namespaces or wanted & self._mentioned
            )
        name = call.name
        if name in self._declared or OF_SERVERS.fullmatch(name):
            return True
        if name in ALIASES and self._client is ClientProgram.CLAUDE_CODE:
            return True
        return name in self._mentioned or self._is_announced(name)

    def _is_announced(self, name: str) -> bool:
        """A tool of a namespace that Codex announces without its tools."""
        return any(name.startswith(space + sign) for space in self._namespaces for sign in SEPARATORS)

    @cached_property
    def _declared(self) -> frozenset[str]:
        """The names in the definitions of the request itself."""
        names = ("tools", "functions") if self._document.mentions(b'"functions"') else ("tools",)
        return frozenset(name for member in names for name in _names_of(self._document.raw(member)))

    @cached_property
    def _mentioned(self) -> frozenset[str]:
        """The names that stand anywhere in the conversation."""
        return frozenset(name for item in self._items for name in _names_in(item))

    @cached_property
    def _namespaces(self) -> frozenset[str]:
        if not self._document.mentions(DEFERRED_NAMESPACES.encode()):
            return frozenset()
        texts = (one for item in self._items for one in _texts(parsed(bytes(item.content))))
        return frozenset(
            name for one in texts if DEFERRED_NAMESPACES in one for name in NAMESPACE_LINE.findall(one)
        )

    @cached_property
    def _items(self) -> list[_Item]:
        raws = (self._document.raw(name) for name in HISTORY)
        return [item for raw in raws if raw for item in _items_of(raw)]


def _items_of(raw: msgspec.Raw) -> list[_Item]:
    try:
        return _read_items(raw)
    except UNREADABLE:
        return _read_items(msgspec.json.encode([fields(item) for item in entries(parsed(bytes(raw)))]))


def _names_of(raw: msgspec.Raw, namespace: str = "") -> Iterator[str]:
    """The names in a list of definitions."""
    if not raw:
        return
    try:
        tools = _read_tools(raw)
    except UNREADABLE:
        yield from _names_of_odd(parsed(bytes(raw)))
        return
    for tool in tools:
        holder = tool.function or tool.custom
        name = text(tool.name) or text(holder.name if holder else None) or text(tool.type)
        if tool.tools:
            yield from _names_of(tool.tools, name)
        elif name:
            yield name
            yield from _joined(namespace, name) if namespace else ()


def _names_of_odd(value: object) -> Iterator[str]:
    """Of definitions that are not as they should be: every name counts."""
    for tool in map(fields, entries(value)):
        for holder in (tool, fields(tool.get("function")), fields(tool.get("custom"))):
            if name := text(holder.get("name")):
                yield name


def _names_in(item: _Item) -> Iterator[str]:
    """The tools that an item of the conversation names: calls, and what was added to the tools."""
    yield from _names_of(item.tools)
    kind, name = text(item.type), text(item.name)
    if kind.endswith("_call"):
        yield name or kind.removesuffix("_call")
        yield from _joined(text(item.namespace), name) if text(item.namespace) else ()
    for call in entries(parsed(bytes(item.tool_calls))):
        yield from _names_of_odd([call])
    yield text(fields(parsed(bytes(item.function_call))).get("name"))
    if any(word in bytes(item.content) for word in NAMES_TOOLS):
        yield from _names_in_content(parsed(bytes(item.content)))


def _names_in_content(value: object) -> Iterator[str]:
    match value:
        case str() if DEFERRED_TOOLS in value:
            yield from TOOL_LINE.findall(value)
        case list():
            for entry in value:
                yield from _names_in_content(entry)
        case dict():
            yield from _names_in_block(value)


def _names_in_block(block: dict[str, Any]) -> Iterator[str]:
    kind = text(block.get("type"))
    if kind.endswith("tool_use"):
        yield text(block.get("name"))
    elif kind == "tool_reference":
        yield text(block.get("tool_name")) or text(block.get("name"))
    elif kind == "tool_addition":
        tool = fields(block.get("tool"))
        yield text(tool.get("name")) or text(tool.get("tool_name"))
    yield from _names_in_content(block.get("content"))
    yield from _names_in_content(block.get("text"))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for entry in value:
                yield from _texts(entry)
        case dict():
            yield from _texts(value.get("text"))


def _joined(namespace: str, name: str) -> frozenset[str]:
    return frozenset(namespace + separator + name for separator in SEPARATORS)

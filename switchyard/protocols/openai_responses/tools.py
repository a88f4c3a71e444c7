"""Read and write the declarations of tools and the choice among them.

https://platform.openai.com/docs/guides/tools
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.openai_responses.calls import FIXED_NAMES, Item
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.tools.schema import Function, fits_strict, to_functions
from switchyard.protocols.wire import entries, fields, text

WEB_SEARCH = "web_search"
REFUSED_TYPES = ("mcp", "computer", "computer_use", "computer_use_preview")
"""Without these the model would silently lack what the client counts on."""


@dataclass(slots=True)
class Toolbox:
    """What a request declares, wherever it declares it. The first declaration of a tool counts."""

    tools: dict[tuple[str, str], neutral.Tool] = field(default_factory=dict)
    hosted: dict[str, neutral.HostedTool] = field(default_factory=dict)
    losses: list[neutral.Loss] = field(default_factory=list)

    def read(self, declarations: object, place: str = "tools", namespace: str = "") -> list[neutral.Tool]:
        """Take in a list of declarations, give the tools in it. Raises BadRequest."""
        read = []
        for position, declaration in enumerate(entries(declarations)):
            if isinstance(declaration, dict):
                read += self._read(declaration, f"{place}[{position}]", namespace)
        return read

    def _read(self, declaration: Item, place: str, namespace: str) -> list[neutral.Tool]:
        type = text(declaration.get("type")) or "function"
        if type == "namespace":
            return self.read(declaration.get("tools"), f"{place}.tools", text(declaration.get("name")))
        if type.startswith(WEB_SEARCH):
            self.hosted.setdefault(WEB_SEARCH, _read_web_search(declaration))
            return []
        reader = _READERS.get(type)
        if reader is not None:
            tool = reader(declaration, namespace)
            if tool is not None and not tool.name:
                raise BadRequest(f"{place}.name: field required", f"{place}.name")
            return [self.tools.setdefault((tool.namespace, tool.name), tool)] if tool else []
        if type.startswith(REFUSED_TYPES):
            raise BadRequest(f"{place}: tools of type {type!r} cannot be sent to this upstream", place)
        self.losses.append(neutral.Loss(f"tools.{type}", "the tool is run by another service"))
        return []


def _read_function(declaration: Item, namespace: str) -> neutral.Tool:
    # the nesting of Chat Completions is a common mistake
    reported = fields(declaration.get("function")) or declaration
    return neutral.Tool(
        name=text(reported.get("name")),
        description=text(reported.get("description")),
        parameters=fields(reported.get("parameters")),
        namespace=namespace,
        strict=reported.get("strict") is True or None,
    )


def _read_custom(declaration: Item, namespace: str) -> neutral.Tool:
    format = fields(declaration.get("format"))
    has_grammar = format.get("type") == "grammar"
    return neutral.Tool(
        name=text(declaration.get("name")),
        description=text(declaration.get("description")),
        kind="custom",
        namespace=namespace,
        grammar=(text(format.get("syntax")), text(format.get("definition"))) if has_grammar else None,
    )


def _read_tool_search(declaration: Item, _: str) -> neutral.Tool | None:
    """Run by the service, it only holds back tools that are declared anyway."""
    if declaration.get("execution") != "client":
        return None
    return neutral.Tool(
        name="tool_search",
        description=text(declaration.get("description")),
        parameters=fields(declaration.get("parameters")),
        kind="tool_search",
    )


def _fixed(kind: neutral.ToolKind) -> Callable[[Item, str], neutral.Tool]:
    return lambda _declaration, _namespace: neutral.Tool(name=FIXED_NAMES[kind], kind=kind)


_READERS: Mapping[str, Callable[[Item, str], neutral.Tool | None]] = {
    "function": _read_function,
    "custom": _read_custom,
    "tool_search": _read_tool_search,
    "local_shell": _fixed("local_shell"),
    "shell": _fixed("shell"),
    "apply_patch": _fixed("apply_patch"),
}


def _read_web_search(declaration: Item) -> neutral.HostedTool:
    filters = fields(declaration.get("filters"))
    location = fields(declaration.get("user_location"))
    options: dict[str, Any] = {
        "allowed_domains": filters.get("allowed_domains"),
        "blocked_domains": filters.get("blocked_domains"),
        "user_location": {name: value for name, value in location.items() if name != "type" and value},
        "search_context_size": declaration.get("search_context_size"),
    }
    return neutral.HostedTool(WEB_SEARCH, {name: value for name, value in options.items() if value})


def read_choice(choice: object, toolbox: Toolbox) -> neutral.ToolChoice | None:
    """Raises BadRequest for a forced tool that cannot be carried over."""
    match choice:
        case "auto" | "required" | "none" as mode:
            return neutral.ToolChoice(mode)
        case {"type": "function" | "custom", "name": str(name), **reported}:
            return neutral.ToolChoice(
                "named", name, _namespace_of(text(reported.get("namespace")), name, toolbox)
            )
        case {"type": "allowed_tools", "tools": list(tools), **reported}:
            allowed = tuple(_allowed_names(tools))
            if reported.get("mode") == "required":
                return neutral.ToolChoice("required", allowed=allowed)
            return neutral.ToolChoice("auto", allowed=allowed)
        case {"type": str(type)} if type in FIXED_NAMES.values():
            return neutral.ToolChoice("named", type)
        case {"type": str(type)} if type.startswith(WEB_SEARCH) and WEB_SEARCH in toolbox.hosted:
            return neutral.ToolChoice("named", WEB_SEARCH)
        case {"type": str(type)}:
            message = f"tool_choice: a tool of type {type!r} cannot be forced at this upstream"
            raise BadRequest(message, "tool_choice")
    return None


def _namespace_of(reported: str, name: str, toolbox: Toolbox) -> str:
    """A choice need not tell the namespace where the name says enough."""
    if reported or ("", name) in toolbox.tools:
        return reported
    return next((namespace for namespace, known in toolbox.tools if known == name), "")


def _allowed_names(tools: Iterable[Any]) -> Iterable[str]:
    for tool in tools:
        if isinstance(tool, dict) and (name := text(tool.get("name")) or text(tool.get("type"))):
            yield name


# --- writing ------------------------------------------------------------------


class Declared(msgspec.Struct, frozen=True):
    """Tools as they go over the wire, and which tool each name there means."""

    items: list[Item]
    names: Mapping[str, neutral.Tool]
    is_native: bool
    """the upstream knows all types of tools; otherwise there are only functions (and custom tools)"""
    custom: bool

    def name_of(self, name: str, namespace: str) -> str:
        """On the wire; a namespace is only told apart where it is known."""
        return name if namespace and self.is_native else wire_name(name, namespace, self.names)


def write_tools(request: neutral.Request, capabilities: Capabilities) -> Declared:
    """Raises BadRequest if the upstream knows no tools at all."""
    if request.tools and not capabilities.tools:
        raise BadRequest("this upstream has no tool support", "tools")
    if any(tool.name == "mcp" for tool in request.hosted_tools):
        raise BadRequest("This upstream cannot be given the MCP servers of this request.", "mcp_servers")
    native = capabilities.responses_items
    custom = native or capabilities.custom_tools
    choice = request.tool_choice
    tools = request.tools
    if choice is not None and choice.allowed and not native:
        tools = tuple(tool for tool in tools if tool.name in choice.allowed)
    lowered, names = to_functions(tools, custom=custom)
    items = _native_items(lowered) if native else [_write_named(tool, tool.wire_name) for tool in lowered]
    if capabilities.hosted_web_search:
        items += [_write_web_search(tool) for tool in request.hosted_tools if tool.name == WEB_SEARCH]
    return Declared(items, names, native, custom)


def _native_items(lowered: Iterable[Function]) -> list[Item]:
    items: list[Item] = []
    groups: dict[str, Item] = {}
    for tool in lowered:
        namespace = tool.tool.namespace
        if not namespace:
            items.append(_write_native(tool))
            continue
        if namespace not in groups:
            groups[namespace] = {
                "type": "namespace",
                "name": namespace,
                "description": f"The tools of {namespace}.",
                "tools": [],
            }
            items.append(groups[namespace])
        groups[namespace]["tools"].append(_write_named(tool, tool.tool.name))
    return items


def _write_native(tool: Function) -> Item:
    if tool.tool.kind == "tool_search":
        return {
            "type": "tool_search",
            "execution": "client",
            "description": tool.description,
            "parameters": tool.parameters,
        }
    return {"type": tool.tool.kind} if tool.tool.kind in FIXED_NAMES else _write_named(tool, tool.wire_name)


def _write_named(tool: Function, name: str) -> Item:
    """A function says whether it is strict: left out, the server takes it for true."""
    if tool.tool.kind == "custom" and not tool.parameters:
        item: Item = {"type": "custom", "name": name, "description": tool.description}
        if tool.tool.grammar:
            syntax, definition = tool.tool.grammar
            item["format"] = {"type": "grammar", "syntax": syntax, "definition": definition}
        return item
    return {
        "type": "function",
        "name": name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict is True and fits_strict(tool.parameters),
    }


def _write_web_search(tool: neutral.HostedTool) -> Item:
    item: Item = {"type": "web_search"}
    options = tool.options
    if options.get("allowed_domains"):
        item["filters"] = {"allowed_domains": options["allowed_domains"]}
    if options.get("user_location"):
        item["user_location"] = {"type": "approximate", **options["user_location"]}
    if options.get("search_context_size"):
        item["search_context_size"] = options["search_context_size"]
    return item


def write_choice(
    request: neutral.Request, declared: Declared, capabilities: Capabilities
) -> str | Item | None:
    """None where no tools are left to choose from. Raises BadRequest for a forced tool that is not there."""
    choice = request.tool_choice
    if choice is None:
        return None
    if not declared.items and choice.mode != "named":
        if choice.mode == "required" and request.hosted_tools:
            raise BadRequest("A tool must be called, but this upstream runs none of them.", "tool_choice")
        return None
    if choice.mode in ("required", "named") and not capabilities.forced_tool_choice:
        return "auto"
    if choice.mode == "named":
        return _named_item(choice.name, choice.namespace, declared)
    if choice.allowed and declared.is_native:
        allowed = [
            _named_item(tool.name, tool.namespace, declared)
            for tool in declared.names.values()
            if tool.name in choice.allowed
        ]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": allowed}
    return choice.mode


def _named_item(name: str, namespace: str, declared: Declared) -> Item:
    wire = declared.name_of(name, namespace)
    tool = declared.names.get(wire_name(name, namespace, declared.names))
    if tool is None:
        if name == WEB_SEARCH and {"type": WEB_SEARCH} in [{"type": item["type"]} for item in declared.items]:
            return {"type": WEB_SEARCH}
        raise BadRequest(f"tool_choice: this upstream cannot be given the tool {name!r}", "tool_choice")
    if declared.is_native and tool.kind in FIXED_NAMES:
        return {"type": tool.kind}
    item = {"type": "custom" if tool.kind == "custom" and declared.custom else "function", "name": wire}
    return {**item, "namespace": namespace} if namespace and declared.is_native else item

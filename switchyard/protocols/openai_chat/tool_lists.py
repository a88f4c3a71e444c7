"""Read and write the tools of a Chat request, and the choice among them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.tools.schema import LoweredTool, fits_strict, lower_tools

Json = dict[str, Any]
WEB_SEARCH = "web_search"
DROPPED_OPTIONS = ("allowed_domains", "blocked_domains", "max_uses")
SEARCH_MODELS = "-search-"
"""OpenAI's models that search by themselves are called so; the others refuse `web_search_options`."""
REMOTE_TOOLS = frozenset({"mcp"})
"""Hosted tools that stand for the client's own: without them the model would be another one."""

MUST_CALL_ONE = "You must call one of the tools now."
MUST_CALL = "You must call the tool `{name}` now."


# --- reading ------------------------------------------------------------------


def read_tools(wire: Mapping[str, Any]) -> tuple[neutral.Tool, ...]:
    """`tools`, or the deprecated `functions`."""
    listed = wire.get("tools") or [
        {"type": "function", "function": function} for function in _list(wire.get("functions"), "functions")
    ]
    return tuple(_read_tool(tool, f"tools[{number}]") for number, tool in enumerate(_list(listed, "tools")))


def read_choice(wire: Mapping[str, Any]) -> neutral.ToolChoice | None:
    choice = wire.get("tool_choice")
    if choice is None and wire.get("function_call") is not None:
        function = wire["function_call"]
        choice = {"type": "function", "function": function} if isinstance(function, dict) else function
    match choice:
        case None:
            return None
        case "auto" | "required" | "none":
            return neutral.ToolChoice(choice)
        case "any":
            return neutral.ToolChoice("required")
        case {"type": "function", "function": {"name": str(name)}} | {
            "type": "custom",
            "custom": {"name": str(name)},
        }:
            return neutral.ToolChoice("named", name)
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(tools), **rest}}:
            mode: Literal["required", "auto"] = "required" if rest.get("mode") == "required" else "auto"
            return neutral.ToolChoice(mode, allowed=tuple(_allowed_names(tools)))
    raise BadRequest("tool_choice: expected auto, required, none or one tool", "tool_choice")


def read_web_search(options: object) -> neutral.HostedTool:
    reported = options if isinstance(options, dict) else {}
    location = reported.get("user_location")
    place = location.get("approximate") if isinstance(location, dict) else None
    settings: Json = {}
    if isinstance(place, dict):
        settings["user_location"] = {name: value for name, value in place.items() if name != "type"}
    if reported.get("search_context_size"):
        settings["search_context_size"] = reported["search_context_size"]
    return neutral.HostedTool(WEB_SEARCH, settings)


def _read_tool(wire: object, path: str) -> neutral.Tool:
    match wire:
        case {"type": "custom", "custom": {"name": str(name), **custom}} if name:
            return neutral.Tool(
                name,
                str(custom.get("description") or ""),
                kind="custom",
                grammar=_grammar(custom.get("format")),
            )
        case {"function": {"name": str(name), **function}} if name:
            parameters = function.get("parameters")
            strict = function.get("strict")
            return neutral.Tool(
                name,
                str(function.get("description") or ""),
                parameters if isinstance(parameters, dict) else {},
                strict=strict if isinstance(strict, bool) else None,
            )
    raise BadRequest(f"{path}: expected a function or a custom tool with a name", path)


def _grammar(format: object) -> tuple[str, str] | None:
    match format:
        case {"grammar": {"syntax": str(syntax), "definition": str(definition)}}:
            return syntax, definition
        case {"syntax": str(syntax), "definition": str(definition)}:
            return syntax, definition
    return None


def _allowed_names(tools: list[Any]) -> list[str]:
    kinds = (tool.get("function") or tool.get("custom") or tool for tool in tools if isinstance(tool, dict))
    return [kind["name"] for kind in kinds if isinstance(kind, dict) and isinstance(kind.get("name"), str)]


def _list(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest(f"{name}: expected a list", name)
    return value


# --- writing ------------------------------------------------------------------


@dataclass(slots=True)
class WrittenTools:
    """The fields of the body, the names on the wire, and what only a sentence can say."""

    fields: Json = field(default_factory=dict)
    names: Mapping[str, neutral.Tool] = field(default_factory=dict)
    instructions: tuple[str, ...] = ()
    losses: list[neutral.Loss] = field(default_factory=list)


def write_tools(request: neutral.Request, target: Target) -> WrittenTools:
    """Raises BadRequest if the request cannot mean the same without a tool that has no way to go."""
    capabilities = target.capabilities
    lowered, names = lower_tools(request.tools, custom=capabilities.custom_tools)
    written = WrittenTools(names=names)
    choice = request.tool_choice or neutral.ToolChoice("auto")
    if lowered and not capabilities.tools and choice.mode != "none":
        raise BadRequest("This upstream takes no tools.", "tools")
    _write_hosted(request, target, written)
    if choice.allowed:
        lowered = tuple(tool for tool in lowered if tool.tool.name in choice.allowed)
    if not lowered or not capabilities.tools:
        _refuse_impossible(choice, written)
        return written
    written.fields["tools"] = [_write_tool(tool, custom=capabilities.custom_tools) for tool in lowered]
    _write_choice(request, target, written)
    if request.parallel_tool_calls is not None and capabilities.parallel_tool_calls:
        written.fields["parallel_tool_calls"] = request.parallel_tool_calls
    return written


def _write_hosted(request: neutral.Request, target: Target, written: WrittenTools) -> None:
    searches = target.capabilities.hosted_web_search and SEARCH_MODELS in target.model
    for tool in request.hosted_tools:
        if tool.name in REMOTE_TOOLS:
            raise BadRequest(f"This upstream cannot reach {tool.name} servers.", "tools")
        if tool.name == WEB_SEARCH and searches:
            written.fields["web_search_options"] = _search_options(tool.options)
            written.losses += [
                neutral.Loss(f"web_search.{option}", "Chat has no such option")
                for option in DROPPED_OPTIONS
                if option in tool.options
            ]
        else:
            written.losses.append(neutral.Loss(f"tools ({tool.name})", "this upstream does not run it"))
    choice = request.tool_choice
    hosted = {tool.name for tool in request.hosted_tools}
    own = {tool.name for tool in request.tools}
    if choice is not None and choice.mode == "named" and choice.name in hosted - own and not written.fields:
        raise BadRequest(f"This upstream does not run {choice.name}, which must be called.", "tool_choice")


def _refuse_impossible(choice: neutral.ToolChoice, written: WrittenTools) -> None:
    """A required call of hosted tools that are all gone; with no tools at all the choice is idle."""
    if choice.mode == "required" and written.losses and not written.fields:
        raise BadRequest("A tool must be called, but this upstream runs none of them.", "tool_choice")


def _search_options(options: Mapping[str, Any]) -> Json:
    written: Json = {}
    if options.get("search_context_size"):
        written["search_context_size"] = options["search_context_size"]
    if options.get("user_location"):
        written["user_location"] = {"type": "approximate", "approximate": dict(options["user_location"])}
    return written


def _write_tool(tool: LoweredTool, *, custom: bool) -> Json:
    if tool.tool.kind == "custom" and custom:
        return {"type": "custom", "custom": _write_custom(tool)}
    function: Json = {"name": tool.wire_name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters
    if tool.strict is False or (tool.strict and fits_strict(tool.parameters)):
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _write_custom(tool: LoweredTool) -> Json:
    written: Json = {"name": tool.wire_name}
    if tool.description:
        written["description"] = tool.description
    if tool.tool.grammar:
        syntax, definition = tool.tool.grammar
        grammar = {"syntax": syntax, "definition": definition}
        written["format"] = {"type": "grammar", "grammar": grammar}
    return written


def _write_choice(request: neutral.Request, target: Target, written: WrittenTools) -> None:
    choice = request.tool_choice
    if choice is None:
        return
    name = wire_name(choice.name, choice.namespace, written.names) if choice.mode == "named" else ""
    if choice.mode in ("auto", "none"):
        written.fields["tool_choice"] = choice.mode
    elif not target.capabilities.forced_tool_choice:
        written.fields["tool_choice"] = "auto"
        written.instructions = (MUST_CALL.format(name=name) if name else MUST_CALL_ONE,)
    else:
        written.fields["tool_choice"] = _named(name, target, written) if name else "required"


def _named(name: str, target: Target, written: WrittenTools) -> Json:
    tool = written.names.get(name)
    kind = "custom" if tool and tool.kind == "custom" and target.capabilities.custom_tools else "function"
    return {"type": kind, kind: {"name": name}}

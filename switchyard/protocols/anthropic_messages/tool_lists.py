"""The tools of a request and the choice among them: read from a client, written for an upstream.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.anthropic_messages.wire import WEB_SEARCH_TOOL
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.tools.schema import to_functions

Wire = dict[str, Any]

VERSION = re.compile(r"_20\d{6}$")
"""Tools of the vendor's own making carry a date: `bash_20250124`."""

STRING = {"type": "string"}
PATH = {"type": "string", "description": "Absolute path of a file or directory."}


def _schema(required: tuple[str, ...], **properties: Wire) -> Wire:
    return {"type": "object", "properties": properties, "required": list(required)}


CLIENT_TOOLS: Mapping[str, tuple[str, Wire]] = {
    "bash": (
        "Runs a command in a persistent bash session and returns its output.",
        _schema(
            (),
            command={"type": "string", "description": "The command to run; required unless restarting."},
            restart={"type": "boolean", "description": "True restarts the session."},
        ),
    ),
    "text_editor": (
        "Views, creates and edits text files.",
        _schema(
            ("command", "path"),
            command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
            path=PATH,
            file_text={"type": "string", "description": "For create: the whole content."},
            old_str={"type": "string", "description": "For str_replace: the exact, unique text to replace."},
            new_str={"type": "string", "description": "For str_replace and insert: the new text."},
            insert_line={"type": "integer", "description": "For insert: the line after which to insert."},
            insert_text={"type": "string", "description": "For insert: the text to insert."},
            view_range={
                "type": "array",
                "items": {"type": "integer"},
                "description": "For view: first and last line, -1 for the end.",
            },
        ),
    ),
    "memory": (
        "Reads and changes files under /memories, which outlive this conversation.",
        _schema(
            ("command",),
            command={
                "type": "string",
                "enum": ["view", "create", "str_replace", "insert", "delete", "rename"],
            },
            path=PATH,
            file_text=STRING,
            old_str=STRING,
            new_str=STRING,
            insert_line={"type": "integer"},
            insert_text=STRING,
            old_path=STRING,
            new_path=STRING,
            view_range={"type": "array", "items": {"type": "integer"}},
        ),
    ),
}
"""Tools that the client runs but whose schema only the vendor's models know."""

NOT_EXPRESSIBLE = frozenset({"computer"})
"""Client tools that no description can explain to another vendor's model."""

UNNEEDED = frozenset({"tool_search_tool_regex", "tool_search_tool_bm25"})
"""They find deferred tools; here all tools are declared at once."""

SEARCH_OPTIONS = ("allowed_domains", "blocked_domains", "max_uses")
LOCATION = ("city", "region", "country", "timezone")


# --- reading ------------------------------------------------------------------


def decode_tools(declared: object) -> tuple[tuple[neutral.Tool, ...], tuple[neutral.HostedTool, ...]]:
    """The tools that the client runs and those it wants the upstream to run."""
    if declared is None:
        return (), ()
    if not isinstance(declared, list):
        raise BadRequest("tools: Input should be a valid list", "tools")
    tools: list[neutral.Tool] = []
    hosted: list[neutral.HostedTool] = []
    for number, wire in enumerate(declared):
        path = f"tools.{number}"
        if not isinstance(wire, dict):
            raise BadRequest(f"{path}: Input should be an object", path)
        type_ = wire.get("type") or "custom"
        family = VERSION.sub("", str(type_))
        if type_ == "custom":
            tools.append(_custom_tool(wire, path))
        elif family in CLIENT_TOOLS:
            description, schema = CLIENT_TOOLS[family]
            tools.append(neutral.Tool(_name(wire, path), description, schema))
        elif family in NOT_EXPRESSIBLE:
            raise BadRequest(f"{path}: tools of type {type_!r} are not supported by this upstream", path)
        elif family not in UNNEEDED:
            hosted.append(_hosted_tool(family, wire))
    return tuple(tools), tuple(hosted)


def _custom_tool(wire: Wire, path: str) -> neutral.Tool:
    schema = wire.get("input_schema")
    description = str(wire.get("description") or "")
    if examples := wire.get("input_examples"):
        description = f"{description}\n\nExamples of input: {msgspec.json.encode(examples).decode()}".strip()
    return neutral.Tool(
        _name(wire, path),
        description,
        schema if isinstance(schema, dict) else {},
        strict=wire["strict"] if isinstance(wire.get("strict"), bool) else None,
    )


def _hosted_tool(family: str, wire: Wire) -> neutral.HostedTool:
    if family != "web_search":
        kept = {name: value for name, value in wire.items() if name not in ("type", "cache_control")}
        return neutral.HostedTool("mcp" if family == "mcp_toolset" else family, kept)
    options = {name: wire[name] for name in SEARCH_OPTIONS if wire.get(name) is not None}
    if isinstance(location := wire.get("user_location"), dict):
        options["user_location"] = {name: location[name] for name in LOCATION if location.get(name)}
    return neutral.HostedTool("web_search", options)


def _name(wire: Wire, path: str) -> str:
    name = wire.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequest(f"{path}.name: Field required", f"{path}.name")
    return name


MODES: Mapping[str, neutral.ToolChoice] = {
    "auto": neutral.ToolChoice("auto"),
    "any": neutral.ToolChoice("required"),
    "none": neutral.ToolChoice("none"),
}


def decode_tool_choice(choice: object) -> tuple[neutral.ToolChoice | None, bool | None]:
    """The choice, and whether several calls at once are welcome."""
    if choice is None:
        return None, None
    if not isinstance(choice, dict):
        raise BadRequest("tool_choice: Input should be an object", "tool_choice")
    parallel = False if choice.get("disable_parallel_tool_use") else None
    if choice.get("type") == "tool":
        return neutral.ToolChoice("named", _name(choice, "tool_choice")), parallel
    mode = MODES.get(str(choice.get("type")))
    if mode is None:
        raise BadRequest(
            "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'", "tool_choice.type"
        )
    return mode, parallel


# --- writing ------------------------------------------------------------------


class WrittenTools(msgspec.Struct, frozen=True):
    """`names` gives the client's own tool for a name on the wire; `instruction` goes to the system prompt."""

    tools: tuple[Wire, ...]
    names: Mapping[str, neutral.Tool]
    choice: Wire | None = None
    instruction: str = ""

    @property
    def forces_a_call(self) -> bool:
        return self.choice is not None and self.choice["type"] in ("any", "tool")


def encode_tools(request: neutral.Request, target: Target, losses: list[neutral.Loss]) -> WrittenTools:
    """The tools and the choice among them. Raises BadRequest where a needed tool cannot be offered."""
    if request.tools and not target.capabilities.tools:
        raise BadRequest("This upstream does not support tools.", "tools")
    lowered, names = to_functions(request.tools, custom=False)
    allowed = request.tool_choice.allowed if request.tool_choice else ()
    tools: list[Wire] = [
        {
            "name": tool.wire_name,
            **({"description": tool.description} if tool.description else {}),
            "input_schema": tool.parameters,
        }
        for tool in lowered
        if not allowed or tool.tool.name in allowed or tool.wire_name in allowed
    ]
    hosted = _encode_hosted(request, target, losses)
    if request.hosted_tools and not (tools or hosted) and _must_call(request):
        raise BadRequest("A tool must be called, but this upstream runs none of them.", "tool_choice")
    choice = _encode_choice(request, names, hosted) if tools or hosted else None
    if (
        choice
        and choice["type"] == "tool"
        and choice["name"] not in [tool["name"] for tool in (*tools, *hosted)]
    ):
        raise BadRequest(f"tool_choice: {choice['name']!r} is not among the tools.", "tool_choice")
    if choice is None or target.capabilities.forced_tool_choice or choice["type"] in ("auto", "none"):
        return WrittenTools((*tools, *hosted), names, choice)
    called = f"the tool `{choice['name']}`" if choice["type"] == "tool" else "one of the tools"
    instruction = f"You must call {called} in your next reply."
    return WrittenTools((*tools, *hosted), names, {"type": "auto", **_parallel(request)}, instruction)


def _must_call(request: neutral.Request) -> bool:
    return request.tool_choice is not None and request.tool_choice.mode == "required"


def _encode_hosted(request: neutral.Request, target: Target, losses: list[neutral.Loss]) -> tuple[Wire, ...]:
    encoded: list[Wire] = []
    forced = request.tool_choice.name if request.tool_choice and request.tool_choice.mode == "named" else ""
    for tool in request.hosted_tools:
        if tool.name == "web_search" and target.capabilities.hosted_web_search:
            encoded.append(_encode_search(tool.options))
            losses += _lost_options(tool.options)
        elif tool.name in (forced, "mcp"):
            raise BadRequest(f"This upstream cannot run the tool {tool.name!r} itself.", "tools")
        else:
            losses.append(neutral.Loss(f"tools ({tool.name})", "this upstream does not run it"))
    return tuple(encoded)


def _lost_options(options: Mapping[str, Any]) -> Iterator[neutral.Loss]:
    if options.get("search_context_size"):
        yield neutral.Loss("web_search.search_context_size", "Anthropic Messages has no such option")
    if options.get("allowed_domains") and options.get("blocked_domains"):
        yield neutral.Loss("web_search.blocked_domains", "only one of the two lists can be told")


def _encode_search(options: Mapping[str, Any]) -> Wire:
    wire: Wire = {"type": WEB_SEARCH_TOOL, "name": "web_search"}
    wire |= {name: options[name] for name in SEARCH_OPTIONS if options.get(name)}
    if "allowed_domains" in wire:
        # the two lists exclude each other
        wire.pop("blocked_domains", None)
    location = options.get("user_location")
    if isinstance(location, Mapping) and location:
        reported = {name: location[name] for name in LOCATION if location.get(name)}
        wire["user_location"] = {"type": "approximate", **reported}
    return wire


def _encode_choice(
    request: neutral.Request, names: Mapping[str, neutral.Tool], hosted: tuple[Wire, ...]
) -> Wire | None:
    choice = request.tool_choice
    parallel = _parallel(request)
    if choice is None:
        return {"type": "auto", **parallel} if parallel else None
    match choice.mode:
        case "auto":
            return {"type": "auto", **parallel}
        case "required":
            return {"type": "any", **parallel}
        case "none":
            return {"type": "none"}
        case "named":
            is_hosted = any(tool["name"] == choice.name for tool in hosted)
            name = choice.name if is_hosted else wire_name(choice.name, choice.namespace, names)
            return {"type": "tool", "name": name, **parallel}


def _parallel(request: neutral.Request) -> Wire:
    return {"disable_parallel_tool_use": True} if request.parallel_tool_calls is False else {}

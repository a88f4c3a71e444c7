"""The choice among tools: which ones an upstream is offered, and what it must call."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.neutral import Loss, ToolChoice
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.tools.schema import Function, to_functions

WEB_SEARCH = "web_search"
MCP = "mcp"
"""Stands for tools of the client's own: without them the model would be another one."""


class Choice(msgspec.Struct, frozen=True):
    """The choice for one upstream. Of mode "named": the name on the wire, and its tool, None for a hosted one."""

    mode: str
    name: str = ""
    tool: neutral.Tool | None = None

    @property
    def forces_a_call(self) -> bool:
        return self.mode in ("required", "named")


class Offer(msgspec.Struct, frozen=True):
    """The tools of a request for one upstream.

    `names` gives the client's own tool for every name on the wire, those of earlier turns included. `instruction`
    goes to the system prompt, in place of a choice that the upstream does not take.
    """

    functions: tuple[Function, ...]
    names: Mapping[str, neutral.Tool]
    hosted: tuple[neutral.HostedTool, ...]
    losses: tuple[Loss, ...]
    choice: Choice | None = None
    instruction: str = ""
    parallel: bool | None = None

    @property
    def is_empty(self) -> bool:
        return not self.functions and not self.hosted


NO_TOOLS = Offer((), MappingProxyType({}), (), ())


def offer_tools(
    request: neutral.Request,
    capabilities: Capabilities,
    *,
    custom: bool,
    searches: bool,
    restricts: bool = False,
) -> Offer:
    """Raises BadRequest where a tool is missing without which the answer would be another one.

    `custom`: free-form tools stay such. `searches`: the upstream runs searches. `restricts`: it takes the list of
    allowed tools itself.
    """
    if not (request.tools or request.hosted_tools or request.tool_choice):
        return NO_TOOLS
    wanted = request.tool_choice or ToolChoice("auto")
    if request.tools and not capabilities.tools and wanted.mode != "none":
        raise BadRequest("This upstream takes no tools.", "tools")
    functions, names = to_functions(request.tools if capabilities.tools else (), custom=custom)
    if wanted.allowed and not restricts:
        allowed = set(wanted.allowed)
        functions = tuple(one for one in functions if allowed & {one.tool.name, one.wire_name})
    hosted, losses = _hosted(request, searches)
    parallel = request.parallel_tool_calls if capabilities.parallel_tool_calls else None
    offer = Offer(functions, names, hosted, losses, parallel=parallel)
    choice = _choice(request, offer)
    if choice is None or not choice.forces_a_call or capabilities.forced_tool_choice:
        return msgspec.structs.replace(offer, choice=choice)
    return msgspec.structs.replace(offer, choice=Choice("auto"), instruction=must_call(choice.name))


def must_call(name: str) -> str:
    """The instruction in place of a forced choice; without a name any tool will do."""
    called = f"the tool `{name}`" if name else "one of the tools"
    return f"You must call {called} in your next reply."


def _hosted(
    request: neutral.Request, searches: bool
) -> tuple[tuple[neutral.HostedTool, ...], tuple[Loss, ...]]:
    """The tools that the upstream runs, and the loss of those that it does not."""
    own = {tool.name for tool in request.tools}
    forced = request.tool_choice.name if request.tool_choice else ""
    kept, losses = [], []
    for tool in request.hosted_tools:
        if tool.name == WEB_SEARCH and searches:
            kept.append(tool)
        elif tool.name == MCP or (tool.name == forced and forced not in own):
            raise BadRequest(f"This upstream cannot run the tool {tool.name!r} itself.", "tools")
        else:
            losses.append(Loss(f"tools.{tool.name}", "this upstream does not run it"))
    return tuple(kept), tuple(losses)


def _choice(request: neutral.Request, offer: Offer) -> Choice | None:
    """None where nothing is left to choose from."""
    wanted = request.tool_choice
    if wanted is None:
        return None
    if wanted.mode == "named":
        return _named(wanted, offer)
    if not offer.is_empty:
        return Choice(wanted.mode)
    if wanted.mode == "required" and (request.tools or request.hosted_tools):
        raise BadRequest("A tool must be called, but this upstream runs none of them.", "tool_choice")
    return None


def _named(wanted: ToolChoice, offer: Offer) -> Choice:
    name = wire_name(wanted.name, wanted.namespace, offer.names)
    if name in {function.wire_name for function in offer.functions}:
        return Choice("named", name, offer.names[name])
    if wanted.name in {tool.name for tool in offer.hosted}:
        return Choice("named", wanted.name)
    raise BadRequest(f"tool_choice: {wanted.name!r} is not among the tools.", "tool_choice")


def lost_options(offer: Offer, taken: Sequence[str]) -> list[Loss]:
    """The options of searches that a protocol has no field for."""
    return [
        Loss(f"{tool.name}.{option}", "this protocol has no such option")
        for tool in offer.hosted
        for option in tool.options
        if option not in taken
    ]

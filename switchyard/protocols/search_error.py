"""Answer a request that is nothing but a web search, at an upstream that runs none, with the client's search error.

Claude Code searches with a request of its own. A model without the tool would answer from memory, and the client would
take that for results.
"""

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.history import text_of
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import StopReason
from switchyard.protocols.tools.choice import WEB_SEARCH

SEARCH_MODELS = "-search-"
"""OpenAI's models that search by themselves are called so; the others refuse `web_search_options`."""
SEARCH_TOOL = b'"web_search_20'
"""The beginning of the type of Anthropic's search tool."""
UNAVAILABLE = "unavailable"
QUESTION = neutral.Message("user", (neutral.Text("Reply with the word: unavailable"),))
MAX_TOKENS = 64
NO_SEARCH = neutral.Loss(
    f"tools.{WEB_SEARCH}", "this upstream does not run it: the client gets a search error"
)


def runs_searches(protocol: ProtocolName, model: str, capabilities: Capabilities) -> bool:
    return capabilities.hosted_web_search and (protocol != "chat" or SEARCH_MODELS in model)


def may_be_a_search(protocol: ProtocolName, tools: msgspec.Raw | None) -> bool:
    """False for most requests, without decoding their tools."""
    return protocol == "messages" and tools is not None and SEARCH_TOOL in bytes(tools)


def is_only_a_search(request: neutral.Request) -> bool:
    """True if the client wants nothing but the results of a search."""
    names = {tool.name for tool in request.hosted_tools}
    return not request.tools and names == {WEB_SEARCH}


def short_request(request: neutral.Request) -> neutral.Request:
    """What the upstream is asked instead, so that it fails over and is recorded like any other request."""
    return neutral.Request(
        request.model,
        (QUESTION,),
        max_tokens=MAX_TOKENS,
        stream=request.stream,
        include_usage=request.include_usage,
        reasoning=neutral.Reasoning(enabled=False),
        session_id=request.session_id,
        user_id=request.user_id,
        received_at=request.received_at,
    )


class SearchErrorFold:
    """Turns any answer into a search that failed."""

    def __init__(self, request: neutral.Request) -> None:
        asked = next((one for one in reversed(request.messages) if one.role == "user"), None)
        self._query = text_of(asked.content) if asked else ""

    def fold(self, event: neutral.Event) -> list[neutral.Event]:
        match event:
            case neutral.Started() | neutral.Failed():
                return [event]
            case neutral.Finished():
                search = neutral.BlockStarted(neutral.WebSearch("", self._query, error=UNAVAILABLE))
                ended = replace(event, stop_reason=StopReason.END_TURN, stop_sequence=None)
                return [search, neutral.BlockEnded(), ended]
        return []

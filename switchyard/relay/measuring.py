"""Measure what a request needs of an upstream, as far as it matters: most requests are not even decoded for it."""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.names import ProtocolName
from switchyard.relay.prepare import OFF_LOOP_BYTES, Preparation, Prepared, protocol_for
from switchyard.relay.values import ClientRequest
from switchyard.routing.fit import NO_NEEDS, Needs, Part, answer_left, learned_lacks, window_fits
from switchyard.routing.lineup import Candidate, Lineup, Moment
from switchyard.routing.route import State
from switchyard.routing.rules import Ruled
from switchyard.settings import Settings

BYTES_PER_TOKEN = 2
"""fewer than in any language or code: a body with so few bytes has no more tokens"""
UNSTATED_ANSWER = 64_000
"""as if asked for, where a protocol wants a limit and the client has set none"""
MEDIA = b"base64"
"""in every body with an image or a document of its own, whose tokens are not those of its characters"""
MARKS: Mapping[Part, tuple[bytes, ...]] = {
    "images": (b'"image"', b'"image_url"', b'"input_image"'),
    "files": (b'"document"', b'"file"', b'"input_file"'),
    "tools": (b'"tools"',),
    "web_search": (b'"web_search',),
    "thinking": (b'"enabled"', b'-thinking"'),
}
"""without these bytes a body does not have the part; quotes within its texts are escaped"""
IN_CONTENT: frozenset[Part] = frozenset({"images", "files"})
"""parts for which the whole conversation is looked through"""
LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})


async def needs_of(
    request: ClientRequest,
    preparation: Preparation,
    settings: Settings,
    state: State,
    now: Moment,
    ruled: Ruled | None = None,
) -> Needs:
    """What decides among the upstreams that may answer; NO_NEEDS if any of them will do."""
    if request.endpoint:
        return NO_NEEDS
    lineup = state.lineup(settings, request.protocol, request.summary.model, now.wall, ruled)
    needs_count = _may_exceed(request.body, lineup.smallest_window)
    lacks = _lacks(lineup, state)
    parts = _marked_parts(request, lacks, lineup) if lacks else lacks
    if not needs_count and not parts:
        return NO_NEEDS
    try:
        tokens = await prompt_tokens(request, preparation) if needs_count else 0
        if not parts:
            return Needs(tokens)
        decoded = await _decoded(request, preparation)
    except (BadRequest, RecursionError):
        return NO_NEEDS  # the attempt reports it
    return Needs(tokens, needed_parts(decoded, request.summary.model, parts))


def needed_parts(request: neutral.Request, model: str, parts: frozenset[Part]) -> frozenset[Part]:
    """Those of the parts without which the request cannot be answered as it is meant.

    A tool for searches beside others, and thinking that is left to the model, are offers: clients make them always.
    """
    content: list[neutral.Block] = []
    if not parts.isdisjoint(IN_CONTENT):
        content += [block for message in request.messages for block in message.content]
        content += [
            part for block in content if isinstance(block, neutral.ToolResult) for part in block.content
        ]
    kinds = set(map(type, content))
    searches = any(tool.name == "web_search" for tool in request.hosted_tools)
    reasoning = request.reasoning
    has: dict[Part, bool] = {
        "images": neutral.Image in kinds,
        "files": neutral.Document in kinds and any(map(_is_file, content)),
        "tools": bool(request.tools) and not _forbids_tools(request),
        "web_search": searches and not request.tools,
        "thinking": model.lower().endswith("-thinking")
        or bool(reasoning.enabled and reasoning.budget_tokens and not reasoning.adaptive),
    }
    return frozenset(part for part in parts if has[part])


async def prompt_tokens(request: ClientRequest, preparation: Preparation) -> int:
    """An estimate, made at most once for a request. Raises BadRequest."""
    if len(request.body) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(preparation.prompt_tokens)
    return preparation.prompt_tokens()


def may_exceed_window(candidate: Candidate, request: ClientRequest) -> bool:
    """False if prompt and answer fit the window without being counted."""
    window = candidate.upstream.context_window
    if not window or request.endpoint:
        return False
    most = len(request.body) // BYTES_PER_TOKEN + _longest_answer(candidate, request)
    return most > window or MEDIA in request.body


async def within_window(
    target: Target, candidate: Candidate, request: ClientRequest, preparation: Preparation
) -> Target:
    """The target with its answers limited to what the prompt leaves of the window."""
    window, asked = candidate.upstream.context_window, _longest_answer(candidate, request)
    try:
        left = answer_left(window, await prompt_tokens(request, preparation))
    except (BadRequest, RecursionError):
        return target  # what is passed through need not be understood
    known = target.capabilities
    if left >= asked or (known.max_output_tokens is not None and known.max_output_tokens <= left):
        return target
    return replace(target, capabilities=replace(known, max_output_tokens=left))


def _longest_answer(candidate: Candidate, request: ClientRequest) -> int:
    ruled = None if candidate.ruled is None else candidate.ruled.rule.max_tokens
    return ruled or request.summary.max_tokens or UNSTATED_ANSWER


def with_window_losses(prepared: Prepared, window: int) -> Prepared:
    """The losses of a request whose answer was limited to what is left of the window, with the numbers."""
    left = prepared.target.capabilities.max_output_tokens
    why = f"reduced to {left:,}: the prompt leaves no more of the context window of {window:,} tokens"
    losses = tuple(neutral.Loss(one.field, why) if one.field in LIMITS else one for one in prepared.losses)
    return replace(prepared, losses=losses)


def _may_exceed(body: bytes, window: int) -> bool:
    """False if the prompt of this body fits the window without being counted."""
    if not window:
        return False
    return not window_fits(window, len(body) // BYTES_PER_TOKEN) or MEDIA in body


def _marked_parts(request: ClientRequest, parts: frozenset[Part], lineup: Lineup) -> frozenset[Part]:
    """Those of the parts that the body may have.

    All of them where it is not worth a search: most of it is known from an earlier turn, which is decoded sooner, or
    it is large and will be decoded anyway.
    """
    body, known = request.body, request.summary.beginning
    if known is not None and known.behind - known.start > len(body) // 2:
        return parts
    if len(body) > OFF_LOOP_BYTES and _all_convert(request.protocol, lineup):
        return parts
    return frozenset([part for part in parts for mark in MARKS[part] if mark in body])


def _all_convert(protocol: ProtocolName, lineup: Lineup) -> bool:
    return all(protocol_for(candidate.upstream, protocol) != protocol for candidate in lineup.candidates)


def _lacks(lineup: Lineup, state: State) -> frozenset[Part]:
    """What some candidate does not take."""
    if not state.learned:
        return lineup.lacks
    learned = (
        learned_lacks(found, one.upstream)
        for one in lineup.candidates
        if (found := state.learned.get((one.name, one.model)))
    )
    return lineup.lacks.union(*learned)


async def _decoded(request: ClientRequest, preparation: Preparation) -> neutral.Request:
    if len(request.body) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(preparation.decoded)
    return preparation.decoded()


def _is_file(block: neutral.Block) -> bool:
    """Plain text is no file: every upstream reads it."""
    return isinstance(block, neutral.Document) and not block.media_type.startswith("text/")


def _forbids_tools(request: neutral.Request) -> bool:
    return request.tool_choice is not None and request.tool_choice.mode == "none"

"""Repairs between two sides of Anthropic Messages.

https://platform.claude.com/docs/en/api/messages
"""

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from switchyard.protocols import carrier
from switchyard.protocols.anthropic_messages.mid_conversation import (
    changes_in,
    effort_of_turn,
    is_temporary,
    last_compaction,
    last_user_message,
    tools_in_effect,
)
from switchyard.protocols.anthropic_messages.signatures import is_carrier, opened, replayed
from switchyard.protocols.anthropic_messages.vendor_tools import CLIENT_TOOLS, NOT_EXPRESSIBLE, VERSION
from switchyard.protocols.anthropic_messages.wire import FABRICATED_SEARCH_ID
from switchyard.protocols.codec import Target
from switchyard.protocols.content import OMITTED_IMAGE, as_error, parts_as_error, summary_turn
from switchyard.protocols.effort import EFFORTS, budget_for, effort_for
from switchyard.protocols.history import as_reminder, without_billing_line
from switchyard.protocols.neutral import Effort, Thinking
from switchyard.protocols.passthrough.peek import ABSENT, Document
from switchyard.protocols.repair.refused import REFUSED, drop_thinking_edits
from switchyard.protocols.repair.rows import (
    Body,
    Cap,
    Change,
    Clamp,
    Drop,
    ReplaceParts,
    Scalar,
    Table,
    as_parts,
    begins_with,
    drop,
    field,
    has_fields,
    is_among,
    merged,
    objects,
    put,
    put_list,
    rewrite,
    same,
    text_part,
    with_field,
    with_parts,
)
from switchyard.protocols.tools.placeholder import is_placeholder
from switchyard.protocols.wire import Json, entries, joined, text

MAX_CACHE_MARKS = 4
LEAST_BUDGET = 1024
LEAST_ANSWER = 1024
SUFFIX_BUDGET = 16_000
DEFAULT_EFFORT: Effort = "high"

NO_DOCUMENT = "[document omitted: the model reads no documents]"
MARK = "cache_control"
SEARCH_BLOCKS = ("server_tool_use", "web_search_tool_result")
CAP = Cap(members=("max_tokens",))
SIGNATURE_FIELDS = {"thinking": "signature", "redacted_thinking": "data"}


# --- the system prompt ----------------------------------------------------------


def _drop_billing_line(body: Body, _target: Target) -> None:
    system = body.get("system")
    first = next(iter(as_parts(system)), None)
    text = field(first, "text")
    if not isinstance(first, dict) or not isinstance(text, str):
        return
    kept = without_billing_line((text,))
    if kept == (text,):
        return
    rest = (
        "".join(kept)
        if isinstance(system, str)
        else [*({**first, "text": left} for left in kept), *as_parts(system)[1:]]
    )
    put(body, "system", rest)


def _fold_system(body: Body, _target: Target) -> None:
    """System messages become reminders in the neighbouring user turn, behind the results of tools.

    What they change of the tools is done in `tools`.
    """
    messages = entries(body.get("messages"))
    if not any(field(message, "role") == "system" for message in messages):
        return
    _change_tools(body, messages)
    last_user = last_user_message(messages)
    folded = [_as_user(message, number < last_user) for number, message in enumerate(messages)]
    body["messages"] = _joined([message for message in folded if message is not None])


def _change_tools(body: Body, messages: list[Any]) -> None:
    old = entries(body.get("tools"))
    new = tools_in_effect(old, changes_in(messages), [])
    if not same(old, new):
        put(body, "tools", new)
    if old and not new:
        drop(body, ("tool_choice",))


def _as_user(message: Any, is_answered: bool) -> Any:
    """None for a message of which nothing is shown. `is_answered`: a user message follows."""
    if field(message, "role") != "system":
        return message
    texts = [text(block.get("text")) for block in objects(as_parts(message.get("content")))]
    shown = "" if is_answered and is_temporary(message) else joined(texts)
    return {"role": "user", "content": [text_part(as_reminder(shown))]} if shown else None


def _raise_effort(body: Body, _target: Target) -> None:
    """The effort that the conversation sets last becomes that of the request."""
    old = entries(body.get("messages"))
    effort, output = effort_of_turn(old), body.get("output_config")
    new = [_without_effort(message) for message in old]
    put_list(body, "messages", old, [message for message in new if message is not None])
    if effort is not None:
        body["output_config"] = {**(output if isinstance(output, dict) else {}), "effort": effort}


def _without_effort(message: Any) -> Any:
    """None for a message that has nothing else."""
    if field(message, "output_config") is None:
        return message
    return with_field(message, "output_config", None) if message.get("content") else None


# --- compaction -----------------------------------------------------------------


def _expand_compaction(body: Body, _target: Target) -> None:
    """The summary in place of what it replaced, for servers that do not know such a block."""
    messages = entries(body.get("messages"))
    compacted = last_compaction(changes_in(messages))
    if compacted is None:
        return
    summary = {"role": "user", "content": [text_part(summary_turn(compacted.summary).text)]}
    last = messages[compacted.message]
    rest = last["content"][compacted.block :]
    kept = [{**last, "content": rest}] if rest else []
    body["messages"] = _joined([summary, *kept, *messages[compacted.message + 1 :]])


# --- what other upstreams left in the history -----------------------------------


def _settle_reasoning(body: Body, target: Target) -> None:
    """Reasoning in carriers goes back to its issuer as it was issued, and to no other upstream."""

    def settled(block: Json) -> Json | None:
        seal = block.get(SIGNATURE_FIELDS.get(str(block.get("type")), ""))
        if not isinstance(seal, str) or not is_carrier(seal):
            return block
        text = block.get("thinking")
        expressed = text if isinstance(text, str) else ""
        if not target.capabilities.signed_thinking:
            return {**block, "signature": ""} if expressed else None
        return replayed(Thinking(expressed, opened(seal)), target.issuer)

    if not _rewrite_blocks(body, settled):
        return
    if field(body.get("thinking"), "type") == "enabled" and _is_in_unsigned_loop(body):
        # with a budget, a running tool loop must begin with its own signed thinking
        _drop_thinking(body)


def _is_in_unsigned_loop(body: Body) -> bool:
    turns = [message for message in _messages(body) if message.get("role") in ("user", "assistant")]
    if len(turns) < 2 or not any(block.get("type") == "tool_result" for block in _blocks_of(turns[-1])):
        return False
    before = [turn for turn in turns if turn.get("role") == "assistant"][-1:]
    first = next((block.get("type") for turn in before for block in _blocks_of(turn)), None)
    return str(first) not in SIGNATURE_FIELDS


def _drop_made_searches(body: Body, _target: Target) -> None:
    """Searches that were made from another vendor's lack the encrypted results that must come back."""
    results = (block for message in _messages(body) for block in _blocks_of(message) if _is_result(block))
    made = {str(result.get("tool_use_id")) for result in results if _is_made(result)}

    def kept(block: Json) -> Json | None:
        if _is_result(block):
            return None if str(block.get("tool_use_id")) in made else block
        if block.get("type") == "server_tool_use":
            id = str(block.get("id"))
            is_alone = id.startswith(FABRICATED_SEARCH_ID) and block.get("name") == "web_search"
            return None if id in made or is_alone else block
        return _without_made_citations(block) if block.get("type") == "text" else block

    _rewrite_blocks(body, kept)


def _drop_all_searches(body: Body, _target: Target) -> None:
    _rewrite_blocks(body, lambda block: None if block.get("type") in SEARCH_BLOCKS else block)


def _is_result(block: Json) -> bool:
    return has_fields(block, type="web_search_tool_result")


def _is_made(result: Json) -> bool:
    return str(result.get("tool_use_id")).startswith(FABRICATED_SEARCH_ID) or any(
        found.get("encrypted_content") == "" for found in objects(result.get("content"))
    )


def _without_made_citations(block: Json) -> Json:
    citations = entries(block.get("citations"))
    made = {"type": "web_search_result_location", "encrypted_index": ""}
    real = [citation for citation in citations if not has_fields(citation, **made)]
    return block if len(real) == len(citations) else with_field(block, "citations", real or None)


# --- thinking -------------------------------------------------------------------


def _adapt_budget(body: Body, target: Target) -> None:
    """A budget of tokens for models that know only how hard to think."""
    thinking, capabilities = body.get("thinking"), target.capabilities
    if field(thinking, "type") != "enabled" or capabilities.reasoning_effort not in ("effort", "adaptive"):
        return
    if capabilities.thinking_budgets:
        return
    budget, output = field(thinking, "budget_tokens"), body.get("output_config")
    body["thinking"] = {**with_field(thinking, "budget_tokens", None), "type": "adaptive"}
    if isinstance(budget, int):
        body["output_config"] = {"effort": effort_for(budget), **(output if isinstance(output, dict) else {})}


def _adapt_thinking(body: Body, target: Target) -> None:
    """Adaptive thinking and its effort for models that know only budgets, or nothing of it."""
    mode = target.capabilities.reasoning_effort
    if mode in ("effort", "adaptive"):
        return
    output = body.get("output_config")
    effort: Any = field(output, "effort")
    if effort is not None:
        put(body, "output_config", with_field(output, "effort", None))
    if mode != "budget":
        if effort is not None or body.get("thinking"):
            _drop_thinking(body)
    elif field(body.get("thinking"), "type") == "adaptive":
        _fit_budget(body, budget_for(effort if effort in EFFORTS else DEFAULT_EFFORT))


def _limit_answer(body: Body, target: Target) -> None:
    """Its thinking included, which must leave room for words."""
    asked, budget = body.get("max_tokens"), field(body.get("thinking"), "budget_tokens")
    CAP.change(body, target)
    if body.get("max_tokens") != asked and isinstance(budget, int):
        _fit_budget(body, budget)


def _fit_budget(body: Body, budget: int) -> None:
    """The budget for thinking, as far as it leaves room for an answer."""
    limit = body.get("max_tokens")
    budget = min(budget, limit - LEAST_ANSWER if isinstance(limit, int) else LEAST_BUDGET)
    if budget < LEAST_BUDGET:
        _drop_thinking(body)
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _drop_thinking(body: Body) -> None:
    """With the edits of the context that are an error where there is no thinking."""
    drop(body, ("thinking",))
    drop_thinking_edits(body)


def _turn_thinking_on(body: Body) -> None:
    if field(body.get("thinking"), "type") in ("enabled", "adaptive"):
        return
    asked = body.get("max_tokens")
    limit = asked if isinstance(asked, int) and asked else SUFFIX_BUDGET + LEAST_ANSWER
    budget = min(SUFFIX_BUDGET, limit - LEAST_ANSWER)
    if budget < LEAST_BUDGET:
        budget, limit = LEAST_BUDGET, LEAST_BUDGET + max(limit, LEAST_ANSWER)
    body["max_tokens"] = limit
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    body["temperature"] = 1
    drop(body, ("top_k",))


def _strip_thinking(body: Body, only: frozenset[str] | None) -> None:
    def kept(block: Json) -> Json | None:
        seal = SIGNATURE_FIELDS.get(str(block.get("type")))
        return None if seal and is_among(block.get(seal), only) else block

    if not _rewrite_blocks(body, kept) or not _is_in_unsigned_loop(body):
        return
    # in the middle of a tool loop the API wants the original thinking block, or no thinking at all
    if only is None or field(body.get("thinking"), "type") == "enabled":
        _drop_thinking(body)


# --- tools, media, results ------------------------------------------------------


def _drop_hosted_tools(body: Body, _target: Target) -> None:
    tools = entries(body.get("tools"))
    kept = [tool for tool in tools if not _is_hosted(tool) and not is_placeholder(tool)]
    if len(kept) == len(tools):
        return
    choice = body.get("tool_choice")
    named = field(choice, "name") if field(choice, "type") == "tool" else None
    if not kept or (named is not None and named not in [field(tool, "name") for tool in kept]):
        drop(body, ("tool_choice",))
    put(body, "tools", kept)


def _is_hosted(tool: object) -> bool:
    type_ = field(tool, "type")
    if not isinstance(type_, str) or type_ == "custom":
        return False
    family = VERSION.sub("", type_)
    return family not in CLIENT_TOOLS and family not in NOT_EXPRESSIBLE


def _document_as_text(block: Json) -> Json:
    source = block.get("source")
    return text_part(field(source, "data") if field(source, "type") == "text" else NO_DOCUMENT)


def _mark_errors(body: Body, _target: Target) -> None:
    """In the results of tools, for servers that overlook `is_error`."""

    def marked(block: Json) -> Json:
        content = block.get("content") or ""
        if block.get("type") != "tool_result" or not block.get("is_error") or not _is_content(content):
            return block
        expressed = as_error(content) if isinstance(content, str) else parts_as_error(content)
        return block if expressed == content else {**block, "content": expressed}

    _rewrite_blocks(body, marked)


def _is_content(content: object) -> bool:
    return isinstance(content, str) or (isinstance(content, list) and len(objects(content)) == len(content))


# --- cache marks ----------------------------------------------------------------


def _limit_marks(body: Body, _target: Target) -> None:
    """Four are allowed, tools counted; the oldest, which cover least, go first."""
    surplus = sum(place.get(MARK) is not None for place in _markable(body)) - MAX_CACHE_MARKS
    if surplus > 0:
        _drop_marks(body, surplus)


def _drop_all_marks(body: Body, _target: Target) -> None:
    _drop_marks(body, sys.maxsize)


def _markable(body: Body) -> Iterator[Json]:
    """All that may bear a mark, in the order of the prompt."""
    for part in (body.get("tools"), body.get("system")):
        yield from objects(part)
    for message in _messages(body):
        for block in _blocks_of(message):
            yield from objects(block.get("content"))
            yield block
    yield {MARK: body.get(MARK)}


def _drop_marks(body: Body, left: int) -> None:
    """The first of them."""

    def bare(place: Any) -> Any:
        nonlocal left
        if not left or field(place, MARK) is None:
            return place
        left -= 1
        return with_field(place, MARK, None)

    def bare_block(block: Json) -> Any:
        inner = block.get("content")
        if isinstance(inner, list):
            block = with_parts(block, "content", [bare(part) for part in inner])
        return bare(block)

    for name in ("tools", "system"):
        rewrite(body, name, bare)
    _rewrite_blocks(body, bare_block)
    if left:
        drop(body, (MARK,))


# --- the conversation -----------------------------------------------------------


def _rewrite_blocks(body: Body, by: Callable[[Json], Json | None]) -> bool:
    """Each block of the history rewritten, or dropped with None; messages left empty go too. True if any changed."""
    old = entries(body.get("messages"))
    new = [kept for message in old for kept in _with_blocks(message, by)]
    if same(old, new):
        return False
    body["messages"] = new if len(new) == len(old) else _joined(new)
    return True


def _with_blocks(message: Any, by: Callable[[Json], Json | None]) -> list[Any]:
    """The message, the very same where no block changed; nothing where none is left."""
    content = field(message, "content")
    if not isinstance(content, list):
        return [message]
    kept: list[Any] = []
    for block in content:
        new = by(block) if isinstance(block, dict) else block
        if new is not None or block is None:
            kept.append(new)
    if same(content, kept):
        return [message]
    return [{**message, "content": kept}] if kept else []


def _joined(messages: list[Any]) -> list[Any]:
    """Neighbours of one role as one message, the results of tools first."""

    def belong(first: Any, second: Any) -> bool:
        return field(first, "role") == field(second, "role") and field(first, "role") in ("user", "assistant")

    def content(first: Json, second: Json) -> list[Any]:
        blocks = [*as_parts(first.get("content")), *as_parts(second.get("content"))]
        return sorted(blocks, key=lambda block: field(block, "type") != "tool_result")

    return merged(messages, belong, content)


def _messages(body: Body) -> list[Json]:
    return objects(body.get("messages"))


def _blocks_of(message: Json) -> list[Json]:
    return objects(message.get("content"))


# --- signs ----------------------------------------------------------------------


class _Inner(msgspec.Struct, gc=False):
    type: Scalar = None
    cache_control: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT


class _Part(msgspec.Struct, gc=False):
    type: Scalar = None
    cache_control: msgspec.Raw = ABSENT
    content: list[_Inner | Scalar] | _Inner | Scalar = None
    is_error: msgspec.Raw = ABSENT
    citations: msgspec.Raw = ABSENT
    signature: msgspec.Raw = ABSENT
    data: msgspec.Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    role: Scalar = None
    content: list[_Part | Scalar] | Scalar = None
    output_config: msgspec.Raw = ABSENT


_messages_of = msgspec.json.Decoder(list[_Message]).decode
_inner_of = msgspec.json.Decoder(list[_Inner | Scalar]).decode
SIGNS = ("system", "effort", "carrier", "error", "search", "made search", "marks", "surplus marks")
"""beside the types of all blocks"""
SYSTEM, EFFORT, CARRIER, ERROR, SEARCH, MADE_SEARCH, MARKS, SURPLUS_MARKS = SIGNS
CARRIED = f'"{carrier.PREFIX}'.encode()
EMPTY_SEAL = re.compile(rb'"encrypted_(?:content|index)"\s*:\s*""')


def _signs_in(document: Document) -> Iterator[str]:
    messages = _messages_of(document.raw("messages") or b"[]")
    parts: list[_Part] = []
    for message in messages:
        if message.role == "system":
            yield SYSTEM
        if message.output_config is not ABSENT:
            yield EFFORT
        if isinstance(message.content, list):
            parts += [part for part in message.content if isinstance(part, _Part)]
    inside = [
        one
        for part in parts
        if isinstance(part.content, list)
        for one in part.content
        if isinstance(one, _Inner)
    ]
    if parts:
        yield from _signs_of(document, parts, inside)
    yield from _marks_in(document, [*parts, *inside])


def _signs_of(document: Document, parts: list[_Part], inside: list[_Inner]) -> Iterator[str]:
    types = {part.type for part in parts}
    yield from map(str, types | _types_of(inside))
    if any([part.is_error is not ABSENT for part in parts]):
        yield ERROR
    seals = [seal for part in parts for seal in (part.signature, part.data) if seal is not ABSENT]
    if any(begins_with(seal, CARRIED) for seal in seals):
        yield CARRIER
    if not types.isdisjoint(SEARCH_BLOCKS):
        yield SEARCH
    if not types.isdisjoint(SEARCH_BLOCKS) or any([part.citations is not ABSENT for part in parts]):
        yield from _made_search(document)


def _types_of(parts: list[_Inner]) -> set[Scalar]:
    """With those inside of them."""
    types = {part.type for part in parts}
    for part in parts:
        if begins_with(part.content, b"["):
            types |= _types_of([one for one in _inner_of(part.content) if isinstance(one, _Inner)])
    return types


def _made_search(document: Document) -> Iterator[str]:
    is_named = document.mentions(b'"' + FABRICATED_SEARCH_ID.encode())
    if is_named or EMPTY_SEAL.search(document.body) is not None:
        yield MADE_SEARCH


def _marks_in(document: Document, parts: list[_Part | _Inner]) -> Iterator[str]:
    marks = sum([part.cache_control is not ABSENT for part in parts])
    marks += document.raw(MARK) is not ABSENT
    for name in ("tools", "system"):
        if (raw := document.raw(name)) is not ABSENT:
            marks += bytes(raw).count(b'"cache_control"')
    if marks:
        yield MARKS
    if marks > MAX_CACHE_MARKS:
        yield SURPLUS_MARKS


MESSAGES = Table(
    (
        Change(by=_drop_billing_line, looks_at=("billing_line",)),
        Change(by=_settle_reasoning, sign=CARRIER),
        Change(by=_drop_made_searches, sign=MADE_SEARCH),
        Change(by=_drop_all_searches, looks_at=("hosted_web_search",), sign=SEARCH),
        Change(by=_expand_compaction, looks_at=("context_management",), sign="compaction"),
        Change(
            by=_raise_effort,
            looks_at=("effort_in_messages", "mid_system", "reasoning_effort", "efforts"),
            sign=EFFORT,
        ),
        Change(by=_fold_system, looks_at=("mid_system",), sign=SYSTEM),
        ReplaceParts(
            history="messages",
            type="image",
            by=lambda _: text_part(OMITTED_IMAGE),
            looks_at=("images",),
            sign="image",
        ),
        ReplaceParts(
            history="messages",
            type="document",
            by=_document_as_text,
            looks_at=("files",),
            sign="document",
        ),
        Change(by=_mark_errors, looks_at=("error_results",), sign=ERROR),
        Change(by=_drop_hosted_tools, looks_at=("hosted_web_search",)),
        Change(by=_limit_answer, looks_at=CAP.looks_at),
        Change(by=_adapt_budget, looks_at=("thinking_budgets",)),
        Change(by=_adapt_thinking, looks_at=("reasoning_effort",)),
        Clamp(member="output_config", inside="effort"),
        Drop(members=("top_k",), looks_at=("top_k",)),
        Drop(members=("context_management",), looks_at=("context_management",)),
        Change(by=_limit_marks, sign=SURPLUS_MARKS),
        Change(by=_drop_all_marks, looks_at=("cache_control",), sign=MARKS),
        *REFUSED,
    ),
    _signs_in,
    _turn_thinking_on,
    _strip_thinking,
)
"""In this order: what is dropped needs no repair, and marks are counted on what is left."""

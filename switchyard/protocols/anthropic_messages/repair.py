"""What a request between two sides of this protocol still needs: only what this upstream cannot take.

https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Callable, Iterator
from typing import Any

from switchyard.protocols.anthropic_messages.signatures import is_carrier, opened, replayed
from switchyard.protocols.anthropic_messages.vendor_tools import CLIENT_TOOLS, NOT_EXPRESSIBLE, VERSION
from switchyard.protocols.anthropic_messages.wire import FABRICATED_SEARCH_ID
from switchyard.protocols.codec import Target
from switchyard.protocols.content import as_error
from switchyard.protocols.effort import EFFORTS, budget_for, clamped, effort_for
from switchyard.protocols.history import as_reminder, without_billing_line
from switchyard.protocols.limits import limit_answer
from switchyard.protocols.neutral import Effort, Thinking

MAX_CACHE_MARKS = 4
LEAST_BUDGET = 1024
LEAST_ANSWER = 1024
DEFAULT_EFFORT: Effort = "high"

NO_IMAGE = "[image omitted: the model reads no images]"
NO_DOCUMENT = "[document omitted: the model reads no documents]"

Wire = dict[str, Any]


def repair_request(body: Wire, target: Target) -> bool:
    """Change the body where needed; True if anything was changed."""
    changed = [repair(body, target) for repair in REPAIRS]
    return any(changed)


# --- the system prompt --------------------------------------------------------


def _drop_billing_line(body: Wire, target: Target) -> bool:
    system = body.get("system")
    if target.capabilities.billing_line or not system:
        return False
    first = next(iter(_as_blocks(system)), None)
    if not isinstance(first, dict):
        return False
    text = first.get("text")
    if not isinstance(text, str) or (kept := without_billing_line((text,))) == (text,):
        return False
    rest: Any = "".join(kept)
    if not isinstance(system, str):
        rest = [*({**first, "text": left} for left in kept), *system[1:]]
    if rest:
        body["system"] = rest
    else:
        del body["system"]
    return True


def _fold_mid_system(body: Wire, target: Target) -> bool:
    """System messages become reminders in the neighbouring user turn, behind the results of tools."""
    messages = body.get("messages")
    if target.capabilities.mid_system or not isinstance(messages, list):
        return False
    if not any(_role(message) == "system" for message in messages):
        return False
    body["messages"] = _joined([_as_user(message) for message in messages])
    return True


def _as_user(message: Any) -> Any:
    if _role(message) != "system":
        return message
    blocks = _as_blocks(message.get("content"))
    text = "\n\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))
    return {"role": "user", "content": [{"type": "text", "text": as_reminder(text)}]}


# --- what other upstreams left in the history ---------------------------------


def _settle_reasoning(body: Wire, target: Target) -> bool:
    """Reasoning in carriers goes back to its issuer as it was told, and to nobody else."""

    def settled(block: Wire) -> Wire | None:
        kind = block.get("type")
        seal = block.get({"thinking": "signature", "redacted_thinking": "data"}.get(str(kind), ""))
        if not isinstance(seal, str) or not is_carrier(seal):
            return block
        text = block.get("thinking")
        expressed = text if isinstance(text, str) else ""
        if not target.capabilities.signed_thinking:
            return {**block, "signature": ""} if expressed else None
        return replayed(Thinking(expressed, opened(seal)), target.issuer)

    if not rewrite_blocks(body, settled):
        return False
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled" and is_in_unsigned_loop(body):
        # with a budget, a running tool loop must begin with its own signed thinking
        drop_thinking(body)
    return True


def is_in_unsigned_loop(body: Wire) -> bool:
    turns = [message for message in body["messages"] if _role(message) in ("user", "assistant")]
    if len(turns) < 2 or not any(block.get("type") == "tool_result" for block in _blocks_of(turns[-1])):
        return False
    before = [turn for turn in turns if _role(turn) == "assistant"][-1:]
    first = next((block.get("type") for turn in before for block in _blocks_of(turn)), None)
    return first not in ("thinking", "redacted_thinking")


def _drop_searches(body: Wire, target: Target) -> bool:
    """Searches that were made from another vendor's lack the encrypted results that must come back."""
    drop_all = not target.capabilities.hosted_web_search
    fabricated = {
        block.get("tool_use_id")
        for message in _messages(body)
        for block in _blocks_of(message)
        if block.get("type") == "web_search_tool_result" and (drop_all or _is_fabricated(block))
    }

    def kept(block: Wire) -> Wire | None:
        match block.get("type"):
            case "server_tool_use" if drop_all or block.get("id") in fabricated:
                return None
            case "web_search_tool_result" if block.get("tool_use_id") in fabricated:
                return None
            case "text" if any(map(_is_own_citation, _as_list(block.get("citations")))):
                citations = [other for other in block["citations"] if not _is_own_citation(other)]
                bare = {name: value for name, value in block.items() if name != "citations"}
                return bare | ({"citations": citations} if citations else {})
        return block

    return rewrite_blocks(body, kept)


def _is_fabricated(block: Wire) -> bool:
    found = block.get("content")
    results = found if isinstance(found, list) else []
    return str(block.get("tool_use_id")).startswith(FABRICATED_SEARCH_ID) or any(
        isinstance(result, dict) and result.get("encrypted_content") == "" for result in results
    )


def _is_own_citation(citation: object) -> bool:
    return isinstance(citation, dict) and citation.get("encrypted_index") == ""


# --- what this upstream does not know -----------------------------------------


def _limit_answer(body: Wire, target: Target) -> bool:
    """Its thinking included, which must leave room for words."""
    if not limit_answer(body, ("max_tokens",), target.capabilities):
        return False
    budget = _field(body.get("thinking"), "budget_tokens")
    if isinstance(budget, int):
        _fit_budget(body, budget)
    return True


def _adapt_budget(body: Wire, target: Target) -> bool:
    """A budget of tokens for models that know only how hard to think."""
    thinking, capabilities = body.get("thinking"), target.capabilities
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return False
    if capabilities.thinking_budgets or capabilities.reasoning_effort not in ("effort", "adaptive"):
        return False
    body["thinking"] = {name: value for name, value in thinking.items() if name != "budget_tokens"}
    body["thinking"]["type"] = "adaptive"
    budget, output = thinking.get("budget_tokens"), body.get("output_config")
    if isinstance(budget, int):
        body["output_config"] = {"effort": effort_for(budget), **(output if isinstance(output, dict) else {})}
    return True


def _adapt_thinking(body: Wire, target: Target) -> bool:
    """Adaptive thinking and its effort for models that know only budgets, or nothing of it."""
    thinking, output = body.get("thinking"), body.get("output_config")
    effort: Any = output.get("effort") if isinstance(output, dict) else None
    mode = target.capabilities.reasoning_effort
    if mode in ("effort", "adaptive"):
        return _clamp_effort(body, effort, target)
    adaptive = isinstance(thinking, dict) and thinking.get("type") == "adaptive"
    if effort is None and not (adaptive if mode == "budget" else thinking):
        return False
    if effort is not None:
        _set_effort(body, None)
    if mode != "budget":
        drop_thinking(body)
    elif adaptive:
        _fit_budget(body, budget_for(effort if effort in EFFORTS else DEFAULT_EFFORT))
    return True


def _clamp_effort(body: Wire, effort: Any, target: Target) -> bool:
    if effort not in EFFORTS or (fitting := clamped(effort, target.capabilities.efforts)) == effort:
        return False
    _set_effort(body, None if fitting == "none" else fitting)
    return True


def _set_effort(body: Wire, effort: str | None) -> None:
    output = {name: value for name, value in body["output_config"].items() if name != "effort"}
    if effort is not None:
        output["effort"] = effort
    if output:
        body["output_config"] = output
    else:
        del body["output_config"]


def _fit_budget(body: Wire, budget: int) -> None:
    """The budget for thinking, as far as it leaves room for an answer."""
    limit = body.get("max_tokens")
    budget = min(budget, limit - LEAST_ANSWER if isinstance(limit, int) else LEAST_BUDGET)
    if budget < LEAST_BUDGET:
        drop_thinking(body)
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def drop_thinking(body: Wire) -> None:
    """With the edits of the context that are an error where there is no thinking."""
    body.pop("thinking", None)
    management = body.get("context_management")
    if not isinstance(management, dict) or not isinstance(edits := management.get("edits"), list):
        return
    kept = [edit for edit in edits if not str(_field(edit, "type")).startswith("clear_thinking")]
    if kept:
        body["context_management"] = {**management, "edits": kept}
    else:
        del body["context_management"]


def _drop_context_management(body: Wire, target: Target) -> bool:
    return not target.capabilities.context_management and _drop_fields(body, ("context_management",))


def _drop_hosted_tools(body: Wire, target: Target) -> bool:
    tools = body.get("tools")
    if target.capabilities.hosted_web_search or not isinstance(tools, list):
        return False
    kept = [tool for tool in tools if not _is_hosted(tool)]
    if len(kept) == len(tools):
        return False
    choice = body.get("tool_choice")
    named = _field(choice, "name") if _field(choice, "type") == "tool" else None
    if not kept or (named is not None and named not in [_field(tool, "name") for tool in kept]):
        body.pop("tool_choice", None)
    if kept:
        body["tools"] = kept
    else:
        del body["tools"]
    return True


def _is_hosted(tool: object) -> bool:
    type_ = _field(tool, "type")
    if not isinstance(type_, str) or type_ == "custom":
        return False
    family = VERSION.sub("", type_)
    return family not in CLIENT_TOOLS and family not in NOT_EXPRESSIBLE


def _replace_media(body: Wire, target: Target) -> bool:
    replacements = {}
    if not target.capabilities.images:
        replacements["image"] = NO_IMAGE
    if not target.capabilities.files:
        replacements["document"] = NO_DOCUMENT

    def reported(block: Wire) -> Wire:
        kind = str(block.get("type"))
        if kind in replacements:
            source = block.get("source")
            is_text = kind == "document" and _field(source, "type") == "text"
            return {"type": "text", "text": _field(source, "data") if is_text else replacements[kind]}
        if kind == "tool_result" and isinstance(nested := block.get("content"), list):
            inner = [reported(part) if isinstance(part, dict) else part for part in nested]
            return block if inner == nested else {**block, "content": inner}
        return block

    return bool(replacements) and rewrite_blocks(body, reported)


def _mark_errors(body: Wire, target: Target) -> bool:
    """In the results of tools, for servers that overlook `is_error`."""

    def reported(block: Wire) -> Wire:
        content = block.get("content") or ""
        if block.get("type") != "tool_result" or not block.get("is_error") or not _is_content(content):
            return block
        expressed = as_error(content)
        return block if expressed == content else {**block, "content": expressed}

    return not target.capabilities.error_results and rewrite_blocks(body, reported)


def _is_content(content: object) -> bool:
    return isinstance(content, str) or (
        isinstance(content, list) and all(isinstance(part, dict) for part in content)
    )


def _drop_sampling(body: Wire, target: Target) -> bool:
    capabilities = target.capabilities
    refused = () if capabilities.sampling else ("temperature", "top_p")
    return _drop_fields(body, refused if capabilities.top_k else (*refused, "top_k"))


def _drop_refused_fields(body: Wire, target: Target) -> bool:
    return _drop_fields(body, target.capabilities.dropped_fields)


def _drop_fields(body: Wire, names: tuple[str, ...]) -> bool:
    present = [name for name in names if name in body]
    for name in present:
        del body[name]
    return bool(present)


# --- cache marks --------------------------------------------------------------


def _limit_cache_marks(body: Wire, target: Target) -> bool:
    """Four are allowed, tools counted; the oldest, which cover least, go first."""
    marked = [place for place in _markable(body) if place.get("cache_control") is not None]
    surplus = len(marked) - MAX_CACHE_MARKS if target.capabilities.cache_control else len(marked)
    for place in marked[: max(0, surplus)]:
        del place["cache_control"]
    return surplus > 0


def _markable(body: Wire) -> Iterator[Wire]:
    """All that may bear a mark, in the order of the prompt."""
    for part in (body.get("tools"), body.get("system")):
        if isinstance(part, list):
            yield from (block for block in part if isinstance(block, dict))
    for message in _messages(body):
        for block in _blocks_of(message):
            inner = block.get("content")
            if isinstance(inner, list):
                yield from (part for part in inner if isinstance(part, dict))
            yield block
    yield body


# --- helpers ------------------------------------------------------------------


def rewrite_blocks(body: Wire, rewrite: Callable[[Wire], Wire | None]) -> bool:
    """Each block of the history rewritten, or dropped with None; messages left empty go too."""
    changed = False
    emptied: list[int] = []
    for message in _messages(body):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        kept = [new for block in content if (new := _rewritten(block, rewrite)) is not None]
        if len(kept) == len(content) and all(new is old for new, old in zip(kept, content, strict=True)):
            continue
        changed = True
        message["content"] = kept
        if not kept:
            emptied.append(id(message))
    if emptied:
        body["messages"] = _joined([message for message in body["messages"] if id(message) not in emptied])
    return changed


def _rewritten(block: Any, rewrite: Callable[[Wire], Wire | None]) -> Any:
    return rewrite(block) if isinstance(block, dict) else block


def _joined(messages: list[Any]) -> list[Any]:
    """Neighbours of one role as one message, the results of tools first."""
    joined: list[Any] = []
    for message in messages:
        if joined and _role(message) == _role(joined[-1]) in ("user", "assistant"):
            blocks = [*_as_blocks(joined[-1]["content"]), *_as_blocks(message["content"])]
            joined[-1] = {
                **joined[-1],
                "content": sorted(blocks, key=lambda block: _field(block, "type") != "tool_result"),
            }
        else:
            joined.append(message)
    return joined


def _messages(body: Wire) -> list[Wire]:
    messages = body.get("messages")
    return (
        [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    )


def _blocks_of(message: Wire) -> list[Wire]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_blocks(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content if isinstance(content, list) else []


def _role(message: object) -> object:
    return _field(message, "role")


def _field(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


REPAIRS: tuple[Callable[[Wire, Target], bool], ...] = (
    _drop_billing_line,
    _settle_reasoning,
    _drop_searches,
    _fold_mid_system,
    _replace_media,
    _mark_errors,
    _drop_hosted_tools,
    _limit_answer,
    _adapt_budget,
    _adapt_thinking,
    _drop_sampling,
    _drop_refused_fields,
    _drop_context_management,
    _limit_cache_marks,
)
"""In this order: what is dropped needs no repair, and marks are counted on what is left."""

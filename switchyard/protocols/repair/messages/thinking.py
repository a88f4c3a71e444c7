"""Thinking: as far as the model knows it, and of earlier turns only where this upstream issued it."""

from typing import Any

from switchyard.protocols.anthropic_messages.reasoning import DEFAULT_EFFORT, LEAST_ANSWER, LEAST_BUDGET
from switchyard.protocols.anthropic_messages.signatures import is_carrier, opened, replayed
from switchyard.protocols.codec import Target
from switchyard.protocols.effort import EFFORTS, budget_for, effort_for
from switchyard.protocols.neutral import Thinking
from switchyard.protocols.repair.messages.blocks import blocks_of, messages_of, rewrite_blocks
from switchyard.protocols.repair.refused import drop_thinking_edits
from switchyard.protocols.repair.rows import Body, Cap, drop, field, is_among, put, with_field
from switchyard.protocols.wire import Json, fields

SUFFIX_BUDGET = 16_000
EFFORT_MODES = ("effort", "adaptive")
"""in which an effort is sent as it is"""
CAP = Cap(members=("max_tokens",))
SIGNATURE_FIELDS = {"thinking": "signature", "redacted_thinking": "data"}


def adapt_budget(body: Body, target: Target) -> None:
    """A budget of tokens for models that know only how hard to think."""
    thinking, mode = body.get("thinking"), target.capabilities.reasoning_effort
    if field(thinking, "type") != "enabled" or mode not in EFFORT_MODES:
        return
    budget = field(thinking, "budget_tokens")
    body["thinking"] = {**with_field(thinking, "budget_tokens", None), "type": "adaptive"}
    if isinstance(budget, int):
        body["output_config"] = {"effort": effort_for(budget), **fields(body.get("output_config"))}


def adapt_thinking(body: Body, target: Target) -> None:
    """Adaptive thinking and its effort for models that know only budgets, or nothing of it."""
    mode = target.capabilities.reasoning_effort
    if mode in EFFORT_MODES:
        return
    output = body.get("output_config")
    effort: Any = field(output, "effort")
    if effort is not None:
        put(body, "output_config", with_field(output, "effort", None))
    if mode != "budget":
        if effort is not None or body.get("thinking"):
            drop_thinking(body)
    elif field(body.get("thinking"), "type") == "adaptive":
        _fit_budget(body, budget_for(effort if effort in EFFORTS else DEFAULT_EFFORT))


def limit_answer(body: Body, target: Target) -> None:
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
        drop_thinking(body)
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def drop_thinking(body: Body) -> None:
    """With the edits of the context that are an error where there is no thinking."""
    drop(body, ("thinking",))
    drop_thinking_edits(body)


def turn_thinking_on(body: Body) -> None:
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


# --- earlier turns --------------------------------------------------------------


def settle_reasoning(body: Body, target: Target) -> None:
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

    if not rewrite_blocks(body, settled):
        return
    if field(body.get("thinking"), "type") == "enabled" and is_in_unsigned_loop(body):
        # with a budget, a running tool loop must begin with its own signed thinking
        drop_thinking(body)


def is_in_unsigned_loop(body: Body) -> bool:
    turns = [message for message in messages_of(body) if message.get("role") in ("user", "assistant")]
    if len(turns) < 2 or not any(block.get("type") == "tool_result" for block in blocks_of(turns[-1])):
        return False
    before = [turn for turn in turns if turn.get("role") == "assistant"][-1:]
    first = next((block.get("type") for turn in before for block in blocks_of(turn)), None)
    return str(first) not in SIGNATURE_FIELDS


def strip_thinking(body: Body, only: frozenset[str] | None) -> None:
    def kept(block: Json) -> Json | None:
        seal = SIGNATURE_FIELDS.get(str(block.get("type")))
        return None if seal and is_among(block.get(seal), only) else block

    if not rewrite_blocks(body, kept) or not is_in_unsigned_loop(body):
        return
    # in the middle of a tool loop the API wants the original thinking block, or no thinking at all
    if only is None or field(body.get("thinking"), "type") == "enabled":
        drop_thinking(body)

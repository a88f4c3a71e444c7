"""How much to think: read from a client, written for an upstream.

https://platform.claude.com/docs/en/build-with-claude/extended-thinking
https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.effort import EFFORTS, budget_for, clamped, wanted_effort
from switchyard.protocols.limits import answer_limit, answer_limit_losses
from switchyard.protocols.neutral import Effort

DEFAULT_MAX_TOKENS = 8192
LEAST_BUDGET = 1024
LEAST_ANSWER = 1024
DEFAULT_EFFORT: Effort = "high"
OWN_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


def decode_reasoning(thinking: object, output_config: Mapping[str, Any]) -> neutral.Reasoning:
    effort = output_config.get("effort")
    asked: Effort | None = cast(Effort, effort) if effort in EFFORTS else None
    if thinking is None:
        return neutral.Reasoning(effort=asked)
    if not isinstance(thinking, dict):
        raise BadRequest("thinking: Input should be an object", "thinking")
    summary = "auto" if thinking.get("display") == "summarized" else None
    match thinking.get("type"):
        case "disabled":
            return neutral.Reasoning(effort=asked, enabled=False)
        case "adaptive":
            return neutral.Reasoning(effort=asked, enabled=True, adaptive=True, summary=summary)
    budget = thinking.get("budget_tokens")
    return neutral.Reasoning(
        effort=asked, budget_tokens=budget if isinstance(budget, int) else None, enabled=True, summary=summary
    )


class WrittenReasoning(msgspec.Struct, frozen=True):
    """What the body says of it: `thinking`, the `effort` of `output_config`, a `max_tokens` with room."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"


class Obstacles(msgspec.Struct, frozen=True):
    """What forbids thinking: a call is forced, the reply is begun, the loop's own thinking is lost."""

    forced_call: bool = False
    prefill: bool = False
    unsigned_tool_loop: bool = False


def encode_reasoning(
    request: neutral.Request, target: Target, obstacles: Obstacles, losses: list[neutral.Loss]
) -> WrittenReasoning:
    """Adaptive thinking with an effort, or a budget, whichever the model knows."""
    wanted = wanted_effort(request.reasoning)
    asked = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    max_tokens = answer_limit(asked, target.capabilities)
    losses += answer_limit_losses(request.max_tokens, target.capabilities)
    if wanted is None and not request.reasoning.enabled:
        return WrittenReasoning(max_tokens)
    if target.capabilities.reasoning_effort not in ("effort", "adaptive", "budget"):
        if wanted != "none":
            losses.append(neutral.Loss("reasoning", "this upstream's thinking cannot be steered"))
        return WrittenReasoning(max_tokens)
    # to turn thinking off needs no effort
    effort = clamped(wanted, target.capabilities.efforts) if wanted and wanted != "none" else wanted
    if request.max_tokens is None:
        thought = request.reasoning.budget_tokens or budget_for(effort or DEFAULT_EFFORT)
        max_tokens = answer_limit(asked + thought, target.capabilities)
    if target.capabilities.reasoning_effort == "budget":
        return _with_budget(request, effort, max_tokens, obstacles, losses)
    return _adaptive(request, effort, max_tokens, obstacles, losses)


def _adaptive(
    request: neutral.Request,
    effort: Effort | None,
    max_tokens: int,
    obstacles: Obstacles,
    losses: list[neutral.Loss],
) -> WrittenReasoning:
    if effort == "none":
        return WrittenReasoning(max_tokens, {"type": "disabled"})
    reported = clamped(effort, OWN_EFFORTS) if effort else None
    if obstacles.forced_call or obstacles.prefill:
        losses.append(_no_thinking(obstacles))
        return WrittenReasoning(max_tokens, None, reported)
    thinking = {"type": "adaptive"}
    if request.reasoning.summary:
        thinking["display"] = "summarized"
    return WrittenReasoning(max_tokens, thinking, reported)


def _with_budget(
    request: neutral.Request,
    effort: Effort | None,
    max_tokens: int,
    obstacles: Obstacles,
    losses: list[neutral.Loss],
) -> WrittenReasoning:
    if effort == "none":
        return WrittenReasoning(max_tokens)
    if obstacles != Obstacles():
        losses.append(_no_thinking(obstacles))
        return WrittenReasoning(max_tokens)
    budget = request.reasoning.budget_tokens or budget_for(effort or DEFAULT_EFFORT)
    budget = min(budget, max_tokens - LEAST_ANSWER)
    if budget < LEAST_BUDGET:
        losses.append(neutral.Loss("reasoning", f"max_tokens {max_tokens} leaves no room for thinking"))
        return WrittenReasoning(max_tokens)
    return WrittenReasoning(max_tokens, {"type": "enabled", "budget_tokens": budget})


def _no_thinking(obstacles: Obstacles) -> neutral.Loss:
    if obstacles.forced_call:
        return neutral.Loss("reasoning", "no thinking while a tool call is forced")
    if obstacles.prefill:
        return neutral.Loss("reasoning", "no thinking while the reply is already begun")
    return neutral.Loss("reasoning", "the thinking of the running tool loop is lost")

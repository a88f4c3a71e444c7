"""How much an upstream is to think.

https://platform.claude.com/docs/en/build-with-claude/extended-thinking
https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
"""

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import Target
from switchyard.protocols.effort import budget_for, clamped, wanted_effort
from switchyard.protocols.fields import answer_limit, clamped_effort
from switchyard.protocols.neutral import Effort
from switchyard.protocols.wire import Json

DEFAULT_MAX_TOKENS = 8192
LEAST_BUDGET = 1024
LEAST_ANSWER = 1024
DEFAULT_EFFORT: Effort = "high"
OWN_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


class EncodedReasoning(msgspec.Struct, frozen=True):
    """The members for it: `thinking`, the `effort` of `output_config`, a `max_tokens` with room."""

    max_tokens: int
    thinking: Json | None = None
    effort: str | None = None

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"


class Obstacles(msgspec.Struct, frozen=True):
    """What forbids thinking: a call is forced, the answer is begun, the loop's own thinking is lost."""

    forced_call: bool = False
    prefill: bool = False
    unsigned_tool_loop: bool = False


def encode_reasoning(
    request: neutral.Request, target: Target, obstacles: Obstacles, losses: list[neutral.Loss]
) -> EncodedReasoning:
    """Adaptive thinking with an effort, or a budget, whichever the model knows."""
    wanted = wanted_effort(request.reasoning)
    wished = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    max_tokens = answer_limit(wished, target.capabilities)
    if wanted is None and not request.reasoning.enabled:
        return EncodedReasoning(max_tokens)
    if target.capabilities.reasoning_effort not in ("effort", "adaptive", "budget"):
        if wanted != "none":
            losses.append(neutral.Loss("reasoning", "this upstream's thinking cannot be steered"))
        return EncodedReasoning(max_tokens)
    # to turn thinking off needs no effort
    effort = wanted if wanted == "none" else clamped_effort(wanted, target.capabilities, losses)
    if request.max_tokens is None:
        thought = request.reasoning.budget_tokens or budget_for(effort or DEFAULT_EFFORT)
        max_tokens = answer_limit(wished + thought, target.capabilities)
    if target.capabilities.reasoning_effort == "budget":
        return _with_budget(request, effort, max_tokens, obstacles, losses)
    return _adaptive(request, effort, max_tokens, obstacles, losses)


def _adaptive(
    request: neutral.Request,
    effort: Effort | None,
    max_tokens: int,
    obstacles: Obstacles,
    losses: list[neutral.Loss],
) -> EncodedReasoning:
    if effort == "none":
        return EncodedReasoning(max_tokens, {"type": "disabled"})
    supported = clamped(effort, OWN_EFFORTS) if effort else None
    if obstacles.forced_call or obstacles.prefill:
        losses.append(_no_thinking(obstacles))
        return EncodedReasoning(max_tokens, None, supported)
    thinking = {"type": "adaptive"}
    if request.reasoning.summary:
        thinking["display"] = "omitted" if request.reasoning.is_omitted else "summarized"
    return EncodedReasoning(max_tokens, thinking, supported)


def _with_budget(
    request: neutral.Request,
    effort: Effort | None,
    max_tokens: int,
    obstacles: Obstacles,
    losses: list[neutral.Loss],
) -> EncodedReasoning:
    if effort == "none":
        return EncodedReasoning(max_tokens)
    if obstacles != Obstacles():
        losses.append(_no_thinking(obstacles))
        return EncodedReasoning(max_tokens)
    budget = request.reasoning.budget_tokens or budget_for(effort or DEFAULT_EFFORT)
    budget = min(budget, max_tokens - LEAST_ANSWER)
    if budget < LEAST_BUDGET:
        losses.append(neutral.Loss("reasoning", f"max_tokens {max_tokens} leaves no room for thinking"))
        return EncodedReasoning(max_tokens)
    return EncodedReasoning(max_tokens, {"type": "enabled", "budget_tokens": budget})


def _no_thinking(obstacles: Obstacles) -> neutral.Loss:
    if obstacles.forced_call:
        return neutral.Loss("reasoning", "no thinking while a tool call is forced")
    if obstacles.prefill:
        return neutral.Loss("reasoning", "no thinking while the answer is already begun")
    return neutral.Loss("reasoning", "the thinking of the running tool loop is lost")

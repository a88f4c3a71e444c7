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

    def why_not(self, *, has_budget: bool) -> str:
        """ "" where nothing forbids it; adaptive thinking may begin in the middle of a loop."""
        if self.forced_call:
            return "no thinking while a tool call is forced"
        if self.prefill:
            return "no thinking while the answer is already begun"
        return (
            "the thinking of the running tool loop is lost" if has_budget and self.unsigned_tool_loop else ""
        )


def encode_reasoning(
    request: neutral.Request, target: Target, obstacles: Obstacles, losses: list[neutral.Loss]
) -> EncodedReasoning:
    """Adaptive thinking with an effort, or a budget, whichever the model knows."""
    wanted, steering = wanted_effort(request.reasoning), target.capabilities.reasoning_effort
    wished = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    max_tokens = answer_limit(wished, target.capabilities)
    if wanted is None and not request.reasoning.enabled:
        return EncodedReasoning(max_tokens)
    if steering not in ("effort", "adaptive", "budget"):
        if wanted != "none":
            losses.append(neutral.Loss("reasoning", "this upstream's thinking cannot be steered"))
        return EncodedReasoning(max_tokens)
    # to turn thinking off needs no effort
    effort = wanted if wanted == "none" else clamped_effort(wanted, target.capabilities, losses)
    budget = request.reasoning.budget_tokens or budget_for(effort or DEFAULT_EFFORT)
    if request.max_tokens is None:
        max_tokens = answer_limit(wished + budget, target.capabilities)
    has_budget = steering == "budget"
    if effort == "none":
        return EncodedReasoning(max_tokens, None if has_budget else {"type": "disabled"})
    supported = clamped(effort, OWN_EFFORTS) if effort and not has_budget else None
    if obstacle := obstacles.why_not(has_budget=has_budget):
        losses.append(neutral.Loss("reasoning", obstacle))
        return EncodedReasoning(max_tokens, None, supported)
    thinking = _budget(budget, max_tokens, losses) if has_budget else _adaptive(request.reasoning)
    return EncodedReasoning(max_tokens, thinking, supported)


def _adaptive(reasoning: neutral.Reasoning) -> Json:
    if not reasoning.summary:
        return {"type": "adaptive"}
    return {"type": "adaptive", "display": "omitted" if reasoning.is_omitted else "summarized"}


def _budget(wished: int, max_tokens: int, losses: list[neutral.Loss]) -> Json | None:
    budget = min(wished, max_tokens - LEAST_ANSWER)
    if budget >= LEAST_BUDGET:
        return {"type": "enabled", "budget_tokens": budget}
    losses.append(neutral.Loss("reasoning", f"max_tokens {max_tokens} leaves no room for thinking"))
    return None

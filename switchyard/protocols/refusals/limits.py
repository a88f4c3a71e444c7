"""Learn from a refusal what to change before the upstream is asked again.

`sentences` finds the server's own words and the path that they are about; the rows of `table` say what is refused and
why, and what may help. `repair/` and the encoders then drop, clamp, replace or rewrite accordingly.
"""

import re

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.late_pattern import late
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.refusals.rows import LearnedLimit
from switchyard.protocols.refusals.sentences import sentences_of
from switchyard.protocols.refusals.table import ROWS

STATUSES = frozenset({400, 404, 415, 422, 500, 501})
OTHER_MATTERS = (ErrorType.CONTEXT_OVERFLOW, ErrorType.MODEL_NOT_FOUND)
LOWER_BOUND = late(r"at least \d{1,12} input tokens", re.IGNORECASE)


def limits_in(error: WireError, known: Capabilities, input_estimate: int = 0) -> tuple[LearnedLimit, ...]:
    """The changes that may help, the best first; none if the refusal shows nothing new.

    `input_estimate`: the tokens of the prompt, for servers that stop counting where the window is full.
    """
    if error.status not in STATUSES or error.type in OTHER_MATTERS:
        return ()
    if error.param == "max_tokens" and error.limit is not None:
        stopped_counting = LOWER_BOUND.search(error.message) is not None
        shorter = _shorter_answer(error.limit, error.tokens, known, input_estimate if stopped_counting else 0)
        return (shorter,) if shorter is not None else ()
    found = (
        limit
        for sentence in sentences_of(error)
        for row in ROWS
        for limit in row.limits(sentence, error, known)
    )
    return tuple({limit.key: limit for limit in found}.values())


def _shorter_answer(
    limit: int, prompt: int | None, known: Capabilities, estimate: int
) -> LearnedLimit | None:
    """The limit of the model, or what this prompt leaves of the window."""
    left = limit if prompt is None else limit - max(prompt, estimate if estimate < limit else 0)
    if left < 1 or (known.max_output_tokens is not None and left >= known.max_output_tokens):
        return None
    why = f"it gives at most {left} tokens"
    return LearnedLimit(why, {"max_output_tokens": left}, for_now=prompt is not None)

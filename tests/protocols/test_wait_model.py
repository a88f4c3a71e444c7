"""How long an error is waited for, against a small model written from docs/failures.md."""

import json
from functools import cache
from itertools import cycle, product
from typing import NamedTuple

import pytest

from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.neutral import WireError
from switchyard.protocols.retry_hints.combine import with_hints

DAY = 86400.0
NOW = 1_790_000_000.0
PAUSES = {"retry-after-ms": 1000.0, "Retry-After-Seconds": 1.0}
"""header -> units in a second, in the order of the table"""
WINDOWS = {
    "X-Codex-Primary-Reset-After-Seconds": "x-codex-primary-used-percent",
    "x-codex-secondary-reset-after-seconds": "x-codex-secondary-used-percent",
    "anthropic-ratelimit-unified-5h-reset": "anthropic-ratelimit-unified-5h-utilization",
}
LIMITS = {
    "anthropic-ratelimit-requests-reset": "anthropic-ratelimit-requests-remaining",
    "x-ratelimit-reset": "x-ratelimit-remaining",
    "x_ratelimit_reset_tokens": "x-ratelimit-remaining-tokens",
    "X-RateLimit-Reset-Requests": "x-ratelimit-remaining-requests",
}
"""the end of a window or limit -> the header that states how much of it is used"""
USED_UP = {"percent": ("100", "40"), "utilization": ("1.0", "0.4"), "remaining": ("0", "7")}


class Hint(NamedTuple):
    header: str
    seconds: int
    is_used_up: bool | None = None
    """None: the answer does not state it"""

    @property
    def is_pause(self) -> bool:
        return self.header in PAUSES

    @property
    def headers(self) -> dict[str, str]:
        if self.is_pause:
            return {self.header: str(int(self.seconds * PAUSES[self.header]))}
        is_moment = self.header.startswith("anthropic")
        found = {self.header: str(int(NOW) + self.seconds if is_moment else self.seconds)}
        if self.is_used_up is None:
            return found
        use = (WINDOWS | LIMITS)[self.header]
        full, open_ = next(values for part, values in USED_UP.items() if part in use)
        return found | {use: full if self.is_used_up else open_}


class Answer(NamedTuple):
    status: int
    code: str
    hints: tuple[Hint, ...]
    quota_resets_in: int | None
    """a field of the body"""


def expected(answer: Answer) -> tuple[str, float | None]:
    """The meaning and the wait, sentence by sentence."""
    meaning = {"": "rate_limit" if answer.status == 429 else "overloaded", "insufficient_quota": "quota"}[
        answer.code
    ]
    is_limited = answer.status == 429 or meaning == "quota"
    pauses = [hint for name in PAUSES for hint in answer.hints if hint.header == name]
    ends = [
        hint for hint in answer.hints if not hint.is_pause and is_limited and hint.is_used_up is not False
    ]
    certain = [hint for hint in ends if hint.is_used_up]
    unsure = [hint for hint in ends if hint.is_used_up is None]
    if not pauses and not certain and unsure and answer.quota_resets_in is None:
        certain = [min(unsure, key=lambda hint: hint.seconds)]
    windows = [float(hint.seconds) for hint in certain]
    windows += [float(answer.quota_resets_in)] if answer.quota_resets_in is not None else []
    if meaning == "rate_limit" and max(windows, default=0.0) >= 600:
        meaning = "quota"
    waits = [float(hint.seconds) for hint in pauses]
    if not waits and not windows:
        return meaning, None
    if meaning == "quota":
        return meaning, min(max(waits + windows), 7 * DAY)
    of_error = [] if answer.quota_resets_in is None else [float(answer.quota_resets_in)]
    return meaning, min([*waits, *of_error, max(windows, default=0.0)][0], 7 * DAY)


def ends(headers: list[str], short: int, long: int) -> list[Hint | None]:
    """No such hint, or one of each kind; the headers take turns."""
    names = cycle(headers)
    hints = [Hint(next(names), short, used) for used in (True, False, None)]
    return [None, *hints, *(Hint(next(names), long, used) for used in (True, None))]


HINTS = [
    tuple(hint for hint in hints if hint is not None)
    for hints in product(
        [None, Hint("Retry-After-Seconds", 3600)],
        [None, Hint("retry-after-ms", 20)],
        ends([name for name in WINDOWS if name.startswith("anthropic")], 60, 9 * 86400),
        ends([name for name in WINDOWS if "odex" in name], 30, 600),
        ends(list(LIMITS), 45, 599),
    )
]
"""every combination of pauses, of moments and times, stated to be used up, stated not to be, or not stated"""


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("code", ["", "insufficient_quota"])
def test_the_wait_of_an_answer_is_what_the_page_on_failures_says(status: int, code: str) -> None:
    for number, hints in enumerate(HINTS):
        answer = Answer(status, code, hints, (None, None, None, 50, 7200)[number % 5])
        assert reported(answer) == expected(answer), answer


def reported(answer: Answer) -> tuple[str, float | None]:
    headers = {name: value for hint in answer.hints for name, value in hint.headers.items()}
    error = with_hints(decoded(answer.status, answer.code, answer.quota_resets_in), headers, NOW)
    return error.type, error.retry_after


@cache
def decoded(status: int, code: str, quota_resets_in: int | None) -> WireError:
    reset = {} if quota_resets_in is None else {"resets_in_seconds": quota_resets_in}
    return decode_error(status, json.dumps({"error": {"message": "Sorry", "code": code} | reset}).encode())

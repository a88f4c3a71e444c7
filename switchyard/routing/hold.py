"""Decide which failures are temporary, and how long a request may be held for them."""

import math
from collections.abc import Collection, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Attempt, Failure, FailureKind
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.health import Cooldown
from switchyard.routing.route import Route
from switchyard.routing.steps import QUEUE_REASONS

Target = tuple[str, str]
"""(upstream, model): what is retried"""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
JITTER = 0.2
"""a pause is shortened by up to this share, so that several daemons do not retry in step"""
UNKNOWN_HOST_SECONDS = 15.0
NEVER_ANSWERED_SECONDS = 20.0
CRASH_TRIES = 3
MAX_REPEATS = 2
"""how often a failure may recur after another request has succeeded there, before it counts as the request's own"""
WHOLE_SECONDS = 60.0
"""for a client that gives no time limit for a whole response"""
CLIENT_SHARE = 0.9
CLIENT_LIMITS = ("x-stainless-timeout", "x-stainless-read-timeout")
"""the limits that the official SDKs report, in seconds; the first may read NOT_GIVEN"""

LASTING_CAUSES = frozenset({"tls", "address", "redirect", "final", "withheld"})
"""permanent causes: waiting does not help"""
PASSING_NETWORK = frozenset(
    {
        FailureKind.CONNECT,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.READ,
        FailureKind.FIRST_BYTE_TIMEOUT,
        FailureKind.IDLE_TIMEOUT,
    }
)
LOAD = frozenset({ErrorType.RATE_LIMIT, ErrorType.OVERLOADED, ErrorType.QUOTA})
"""causes on the upstream's side, even if other requests succeed at the same time"""
PASSING_TYPES = LOAD | {ErrorType.TIMEOUT}
LASTING_TYPES = frozenset(
    {
        ErrorType.AUTHENTICATION,
        ErrorType.PERMISSION,
        ErrorType.BILLING,
        ErrorType.MODEL_NOT_FOUND,
        ErrorType.NOT_FOUND,
        ErrorType.CONTEXT_OVERFLOW,
        ErrorType.INVALID_REQUEST,
        ErrorType.TOO_LARGE,
        ErrorType.CONFLICT,
    }
)
CRASH_STATUSES = frozenset({400, 422, 500, 501})
TOO_EARLY = 425


class Prospect(msgspec.Struct, frozen=True):
    """What waiting may bring after one failure: for how long, how many tries, and when the next is allowed.

    `seconds` count from the start of the hold, `after` from the failure.
    """

    seconds: float = math.inf
    tries: int = 1_000_000
    after: float = 0.0
    why: str = ""

    @property
    def passes(self) -> bool:
        return self.seconds > 0


def prospect_of(failure: Failure, has_answered: bool = True) -> Prospect:
    """`has_answered`: the upstream has answered since its entry was last edited.

    If it has, an unknown host name means that the network is down.
    """
    found = _prospect(failure)
    if not found.passes or has_answered:
        return found
    if failure.cause == "unknown_host":
        return replace(found, seconds=UNKNOWN_HOST_SECONDS, why="its host name cannot be resolved")
    why = "it has never answered since its entry was last edited"
    return replace(found, seconds=NEVER_ANSWERED_SECONDS, why=why)


def _prospect(failure: Failure) -> Prospect:
    error = failure.error
    if failure.kind is FailureKind.REFUSED_REQUEST:
        return Prospect(0, why="this request cannot be sent to it")
    if failure.cause in LASTING_CAUSES:
        return Prospect(0, why=f"{failure.message}: waiting does not help")
    if failure.kind in PASSING_NETWORK:
        return Prospect()
    if failure.kind is FailureKind.PROTOCOL or _is_crash(error):
        return Prospect(tries=CRASH_TRIES, why=f"tried {CRASH_TRIES} times at most")
    if error.type in LASTING_TYPES and error.status != TOO_EARLY:
        return Prospect(0, why=f"{error.type} is permanent")
    if error.type is ErrorType.QUOTA and error.retry_after is None:
        return Prospect(0, why="its quota is used up")
    if error.type in PASSING_TYPES or error.status >= 500 or error.status == TOO_EARLY:
        return Prospect(after=error.retry_after or 0.0)
    return Prospect(0, why=f"status {error.status} is permanent")


def _is_crash(error: WireError) -> bool:
    """The server failed at this request without being overloaded; some servers report a client error instead."""
    if error.type in PASSING_TYPES | LASTING_TYPES:
        return False
    return error.status in CRASH_STATUSES


def pause_seconds(failures: int, jitter: float) -> float:
    """The pause after this many failures in a row (1 or more); `jitter` is from 0 to 1."""
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE_SECONDS)
    return pause * (1 - JITTER * jitter)


def client_seconds(headers: Mapping[str, str], *, stream: bool) -> float:
    """How long the client waits for the response; without limit for a stream, which has keep-alives."""
    if stream:
        return math.inf
    limits = [seconds for name in CLIENT_LIMITS if (seconds := _seconds(headers.get(name, ""))) is not None]
    return min(limits) * CLIENT_SHARE if limits else WHOLE_SECONDS


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


class Hope(msgspec.Struct, frozen=True):
    """An upstream with a temporary failure: `until` in seconds since the start of the hold."""

    target: Target
    until: float
    reason: str = ""
    """the last failure"""


class Probed(msgspec.Struct, frozen=True):
    """An upstream that is cooling down and may be probed by a held request after this many seconds."""

    target: Target
    seconds: float


class Edited(msgspec.Struct, frozen=True):
    """An entry edited during the hold: after this many attempts of the request and seconds of the hold."""

    attempts: int
    seconds: float


class Outlook(msgspec.Struct, frozen=True):
    """What an unanswered request may still wait for, and why each other upstream cannot help."""

    hopes: tuple[Hope, ...]
    lasting: tuple[tuple[str, str], ...]


NEVER = Edited(0, 0.0)
NO_EDITS: Mapping[str, Edited] = {}


def outlook(
    attempts: Sequence[Attempt],
    repeats: Mapping[Target, int],
    answered: Collection[str],
    held_seconds: float,
    seconds_left: float,
    hold_began: float = 0.0,
    edited: Mapping[str, Edited] = NO_EDITS,
) -> Outlook:
    """Judge the last failure of each target; its time counts from its first failure, or the last edit of its entry.

    `attempts` and `hold_began` in seconds since the request came, the other times since the hold began.

    `answered`: the upstreams that have answered since their entries were last edited. `repeats`: how often this
    request has failed again at a target, as an isolated probe, after another request had succeeded there.
    """
    last: dict[Target, Failure] = {}
    tries: dict[Target, int] = {}
    since: dict[Target, float] = {}
    for number, attempt in enumerate(attempts):
        if attempt.failure is not None and not attempt.verdict.startswith("learn"):
            target, edit = (attempt.account, attempt.model), edited.get(attempt.account, NEVER)
            last[target] = attempt.failure
            tries[target] = tries.get(target, 0) + (number >= edit.attempts)
            since.setdefault(target, max(edit.seconds, attempt.started - hold_began))
    hopes: list[Hope] = []
    lasting: list[tuple[str, str]] = []
    for target, failure in last.items():
        prospect = prospect_of(failure, target[0] in answered)
        waited = held_seconds - since[target]
        why = _why_no_hope(prospect, failure, tries[target], repeats.get(target, 0), waited, seconds_left)
        if why:
            lasting.append((target[0], why))
        else:
            until = since[target] + prospect.seconds
            hopes.append(Hope(target, until, failure.summary))
    return Outlook(tuple(hopes), tuple(lasting))


def seconds_to_probe(cooldown: Cooldown, now: float) -> float | None:
    """How long a held request waits before it may probe this upstream; None if waiting does not help."""
    if not cooldown.passes:
        return None
    return max(0.0, cooldown.until - now) if cooldown.hinted else 0.0


def held_for(route: Route, now: float, hold_seconds: float) -> tuple[Probed, ...]:
    """What a new request with this route is held for; empty if an upstream can answer now, or has a free slot soon."""
    if route.candidates or hold_seconds <= 0 or any(skip.reason in QUEUE_REASONS for skip in route.skipped):
        return ()
    found = ((one, seconds_to_probe(one.cooldown, now)) for one in route.cooling)
    return tuple(
        Probed((one.candidate.name, one.candidate.model), seconds)
        for one, seconds in found
        if seconds is not None and seconds <= hold_seconds
    )


def _why_no_hope(
    prospect: Prospect, failure: Failure, tries: int, repeats: int, waited: float, seconds_left: float
) -> str:
    """Why this target is not tried again; "" if it is."""
    if not prospect.passes or tries >= prospect.tries or waited >= prospect.seconds:
        return prospect.why or "its time limit has passed"
    if prospect.after > seconds_left:
        return f"its Retry-After of {prospect.after:.0f} s is longer than this request is held"
    if repeats >= MAX_REPEATS and failure.error.type not in LOAD:
        return "it answers other requests: the failure belongs to this one"
    return ""

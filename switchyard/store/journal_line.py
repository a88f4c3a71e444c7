"""One exchange as one line of the journal: metadata and numbers, never bodies or keys."""

import re
from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from switchyard.exchange import Answered, Attempt, Exchange, MarkedCall, PriceUsed
from switchyard.protocols.neutral import Loss, Usage, WireError
from switchyard.store.local_time import is_day, local_moment

SCHEMA_VERSION = 1
MAX_LINE = 16 * 1024
MAX_NAME = 200
MAX_MESSAGE = 300
MAX_ATTEMPTS = 20
MAX_LOSSES = 40
SHORT = 40
RESET = "reset"
"""the kind of a line that is not an exchange: what was written before it is no longer counted"""

# upstreams repeat a refused key in their error message
SECRET = re.compile(
    r"(?i)\b(?:sk|pk|rk|key|token|gsk|xai|AIza)[-_][\w.*-]{6,}|bearer\s+\S+|AIza[\w-]{10,}|eyJ[\w.-]{20,}"
)


Tokens = Annotated[int, Meta(ge=0, le=10**15)]
Seconds = Annotated[float, Meta(ge=0, le=10**9)]
Money = Annotated[float, Meta(ge=0, le=10**15)]
Moment = Annotated[float, Meta(ge=0, le=253_402_300_799)]
"""until the end of the year 9999. Bounds for reading: a damaged line must neither distort sums nor stop a start."""


class LineUsage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens in disjoint parts; `reasoning` is part of `output`. `tier` and `searches` are what the answer reported."""

    input: Tokens = 0
    cache_read: Tokens = 0
    cache_write_5m: Tokens = 0
    cache_write_1h: Tokens = 0
    output: Tokens = 0
    reasoning: Tokens = 0
    estimated: bool = False
    tier: str = ""
    searches: Tokens = 0

    @property
    def total(self) -> int:
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.output


class LineAttempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One attempt; times in seconds since the exchange began."""

    upstream: str
    model: str = ""
    why: str = ""
    started: float = 0.0
    status: int | None = None
    first_byte: float | None = None
    ended: float | None = None
    failed: str = ""
    message: str = ""
    verdict: str = ""
    key: str = ""


class LineAnswered(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the upstream stated and delivered; `exchange.Answered` explains the fields."""

    model: str = ""
    fingerprint: str = ""
    input_reported: Tokens | None = None
    input_estimated: Tokens = 0
    cache_share: Money | None = None
    input_before: Tokens | None = None
    cache_expected: Tokens | None = None
    changed_in: str = ""
    changed_at: Tokens | None = None
    added_estimated: tuple[Tokens, Tokens, Tokens, Tokens] | None = None
    first_token: Seconds | None = None
    tokens_per_second: Money | None = None


class LineError(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    type: str
    status: int = 0
    message: str = ""


class LineLoss(msgspec.Struct, frozen=True, gc=False):
    field: str
    why: str


class LineReason(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    code: str
    about: str = ""


class LineCall(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A marked tool call, without its arguments."""

    tool: str
    upstream: str
    action: str
    unknown: bool = False
    reasons: list[LineReason] = []


class Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The journal's record of one exchange. `day` and `offset` are those of the local time at its end.

    `before`, of a reset, is the length of each journal file at that time.
    `newer` holds the fields that a later version has written.
    """

    v: int
    at: Moment
    day: str
    offset: Annotated[int, Meta(ge=-1440, le=1440)] = 0
    id: str = ""
    kind: str = "request"
    began: float | None = None
    client: str = ""
    agent: str = ""
    session: str = ""
    thread: str = ""
    project: str = ""
    rule: str = ""
    client_protocol: str = ""
    protocol: str = ""
    model: str = ""
    sent: str = ""
    upstream: str = ""
    key: str = ""
    stream: bool = False
    outcome: str = ""
    status: int = 0
    first_byte: Seconds | None = None
    duration: Seconds | None = None
    held: Seconds = 0.0
    usage: LineUsage | None = None
    cost: Money | None = None
    price: PriceUsed | None = None
    local: bool = False
    answered: LineAnswered | None = None
    attempts: list[LineAttempt] = []
    losses: list[LineLoss] = []
    marked_calls: list[LineCall] = []
    error: LineError | None = None
    shortened: bool = False
    before: dict[str, Annotated[int, Meta(ge=0)]] = {}
    newer: dict[str, Any] = {}

    @property
    def month(self) -> str:
        return self.day[:7]

    @property
    def hour(self) -> int:
        """The hour of the local time at the end of the exchange."""
        return int(self.at + self.offset * 60) // 3600 % 24


def encode_line(exchange: Exchange, ended_at: float, zone: tzinfo | None = None) -> bytes:
    """The line of a finished exchange, with its newline."""
    return write_line(line_of(exchange, ended_at, zone))


def line_of(exchange: Exchange, ended_at: float, zone: tzinfo | None = None) -> Line:
    # rounded first, so that day and hour match the recorded time
    at = _rounded(ended_at, 1e3)
    local = local_moment(at, zone)
    attempts = [*map(_attempt, exchange.attempts[-MAX_ATTEMPTS:])]
    last = attempts[-1] if attempts else NO_ATTEMPT
    return Line(  # by position, in the order of the fields: by their names it takes several times as long
        SCHEMA_VERSION,
        at,
        local.day,
        local.offset,
        exchange.id[:MAX_NAME],
        exchange.kind[:MAX_NAME],
        _rounded(exchange.at, 1e3),
        exchange.client[:MAX_NAME],
        exchange.client_agent[:MAX_NAME],
        exchange.session[:MAX_NAME],
        exchange.thread[:MAX_NAME],
        exchange.project[:MAX_NAME],
        exchange.rule[:MAX_NAME],
        exchange.client_protocol,
        exchange.attempts[-1].protocol if attempts else "",
        exchange.requested_model[:MAX_NAME],
        last.model,
        last.upstream,
        last.key,
        exchange.stream,
        str(exchange.outcome),
        exchange.status,
        _seconds(exchange.first_byte),
        _seconds(exchange.duration),
        _rounded(exchange.held, 1e3) if exchange.held else 0.0,
        _usage(exchange.usage),
        None if exchange.cost is None else _rounded(exchange.cost, 1e9),
        exchange.price,
        exchange.local,
        _answered(exchange.answered),
        attempts,
        _losses(exchange.losses) if exchange.losses else [],
        [*map(_call, exchange.marked_calls)] if exchange.marked_calls else [],
        None if exchange.failure is None else _error(exchange.failure),
        len(exchange.attempts) > MAX_ATTEMPTS or len(exchange.losses) > MAX_LOSSES,
    )


def reset_line(at: float, before: dict[str, int], zone: tzinfo | None = None) -> Line:
    local = local_moment(at, zone)
    return Line(
        v=SCHEMA_VERSION, at=round(at, 3), day=local.day, offset=local.offset, kind=RESET, before=before
    )


def write_line(line: Line) -> bytes:
    """The bytes of a line, at most MAX_LINE, with the fields that a later version has added."""
    written = _encode(line)
    if len(written) >= MAX_LINE:
        written = _encode(_short(line))
    return written + b"\n"


def decode_line(raw: bytes) -> Line | None:
    """The line, or None if it is torn, garbage or empty."""
    try:
        line = LINE_DECODER.decode(raw)
        if line.v > SCHEMA_VERSION:
            line = msgspec.structs.replace(line, newer=_unknown_fields(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return line if is_day(line.day) else None


LINE_DECODER = msgspec.json.Decoder(Line)
NO_ATTEMPT = LineAttempt("")
KNOWN_FIELDS = frozenset(Line.__struct_fields__)


def _encode(line: Line) -> bytes:
    try:
        if not line.newer:
            return msgspec.json.encode(line)
        known: dict[str, Any] = msgspec.to_builtins(line)
        del known["newer"]
        return msgspec.json.encode(known | line.newer)
    except UnicodeEncodeError:
        # a client may name a model by a lone surrogate, which UTF-8 cannot encode
        return _encode(msgspec.convert(_sayable(msgspec.to_builtins(line)), Line))


def _sayable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_sayable(key): _sayable(entry) for key, entry in value.items()}
        case list():
            return [_sayable(entry) for entry in value]
    return value


def _unknown_fields(raw: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(raw)
    return {name: value for name, value in fields.items() if name not in KNOWN_FIELDS}


def _short(line: Line) -> Line:
    """The same numbers with texts cut to a few characters."""
    last = [
        msgspec.structs.replace(
            attempt, upstream=attempt.upstream[:SHORT], model=attempt.model[:SHORT], why="", message=""
        )
        for attempt in line.attempts[-3:]
    ]
    cut = {
        name: value[:SHORT]
        for name in Line.__struct_fields__
        if name != "day" and isinstance(value := getattr(line, name), str)
    }
    error = line.error and LineError(line.error.type[:SHORT], line.error.status)
    return msgspec.structs.replace(
        line,
        **cut,
        attempts=last,
        losses=[],
        marked_calls=_short_calls(line),
        error=error,
        newer={},
        shortened=True,
    )


def _short_calls(line: Line) -> list[LineCall]:
    """Without what the reasons are about."""
    return [
        LineCall(
            call.tool[:SHORT],
            call.upstream[:SHORT],
            call.action,
            call.unknown,
            [LineReason(one.code) for one in call.reasons],
        )
        for call in line.marked_calls
    ]


def _losses(losses: Sequence[Loss]) -> list[LineLoss]:
    return [LineLoss(loss.field[:MAX_NAME], loss.why[:MAX_NAME]) for loss in losses[:MAX_LOSSES]]


def _call(call: MarkedCall) -> LineCall:
    return LineCall(
        tool=call.tool[:MAX_NAME],
        upstream=call.upstream[:MAX_NAME],
        action=call.action,
        unknown=call.is_unknown,
        reasons=[LineReason(str(one.code), _redacted(one.about)) for one in call.reasons],
    )


def _seconds(value: float | None) -> float | None:
    return None if value is None else int(value * 1e4 + 0.5) / 1e4


def _rounded(value: float, parts: float) -> float:
    """Rounded to this many parts of one, never negative. Several times as fast as `round`."""
    return int(value * parts + 0.5) / parts


def _usage(usage: Usage | None) -> LineUsage | None:
    if usage is None:
        return None
    return LineUsage(
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        usage.estimated,
        usage.tier,
        usage.searches,
    )


def _answered(answered: Answered | None) -> LineAnswered | None:
    if answered is None:
        return None
    share, pace = answered.cache_share, answered.tokens_per_second
    return LineAnswered(
        answered.model[:MAX_NAME],
        answered.fingerprint[:MAX_NAME],
        answered.input_reported,
        answered.input_estimated,
        None if share is None else _rounded(share, 1e4),
        answered.input_before,
        answered.cache_expected,
        answered.changed_in,
        answered.changed_at,
        answered.added_estimated,
        _seconds(answered.first_token),
        None if pace is None else _rounded(pace, 1e2),
    )


def _attempt(attempt: Attempt) -> LineAttempt:
    failure = attempt.failure
    return LineAttempt(
        attempt.upstream[:MAX_NAME],
        attempt.model[:MAX_NAME],
        attempt.why[:MAX_NAME],
        _rounded(attempt.started, 1e4),
        attempt.status,
        _seconds(attempt.first_byte),
        _seconds(attempt.ended),
        str(failure.kind) if failure else "",
        _redacted(failure.message) if failure else "",
        attempt.verdict[:MAX_NAME],
        attempt.key[:MAX_NAME],
    )


def _error(error: WireError) -> LineError:
    return LineError(str(error.type), error.status, _redacted(error.message))


def _redacted(message: str) -> str:
    return SECRET.sub("[key]", message[: 2 * MAX_MESSAGE])[:MAX_MESSAGE]

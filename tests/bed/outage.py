"""An upstream in an outage: it fails until a given time, answers from then on, and records every request.

An `Outage` is a clock that several upstreams may share; the affected models and the way in which requests fail
are set per upstream.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.bed import wire
from tests.bed.patience import PATIENCE_SECONDS
from tests.bed.upstream import (
    FAULTS,
    Answer,
    Close,
    Received,
    Script,
    ScriptedUpstream,
    Step,
    Wait,
    fixed,
    say,
    whole,
)

REFUSED = "refused"
ALL_MODELS = ""
LONG = 600.0
"""seconds; longer than any client waits"""


def _error(code: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Answer:
    return lambda request: whole(code, wire.error_body(request.protocol, message, kind), headers=headers)


def _refused(request: Received) -> Script:
    return [Close(reset=True)]  # it connected just before the port was closed


OUTAGES: dict[str, Answer] = {
    "503": _error(503, "api_error", "Service unavailable"),
    "529": _error(529, "overloaded_error", "Overloaded"),
    "429": _error(429, "rate_limit_error", "Too many requests"),
    "429 with retry-after": _error(429, "rate_limit_error", "Too many requests", {"retry-after": "2"}),
    "reset": FAULTS["reset before headers"],
    REFUSED: _refused,
    "hang": fixed([Wait(LONG)]),
    "error as JSON in a 200": lambda request: whole(
        200, wire.error_body(request.protocol, "Overloaded", "overloaded_error")
    ),
    "error in a 200 stream": FAULTS["error event at once"],
}
"""How an upstream fails while its outage lasts."""


class Outage:
    """Lasts for `seconds`, or until `end` is called.

    It begins with the first request that meets it; after `answers_before` successful responses, if that is given;
    or when `begin` is called.
    """

    def __init__(self, seconds: float, answers_before: int = 0) -> None:
        self.began: float | None = None
        self._seconds = seconds
        self._answers_before = answers_before
        self._has_begun = False
        self._on_begin: list[Callable[[float], None]] = []
        self._on_end: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def ends(self) -> float:
        assert self.began is not None, "the outage has not begun"
        return self.began + self._seconds

    @property
    def is_on(self) -> bool:
        return self.began is not None and time.monotonic() < self.ends

    def begin(self) -> None:
        with self._lock:
            if self._has_begun:
                return
            self._has_begun = True
            for act in self._on_begin:
                act(self._seconds)
            self.began = time.monotonic()

    def end(self) -> None:
        assert self.began is not None, "the outage has not begun"
        self._seconds = time.monotonic() - self.began
        for act in self._on_end:
            act()

    def calls(self, on_begin: Callable[[float], None], on_end: Callable[[], None]) -> None:
        """`on_begin` receives the length of the outage in seconds; `on_end` is called only by `end`."""
        self._on_begin.append(on_begin)
        self._on_end.append(on_end)

    def meets_a_request(self) -> bool:
        """True if a request that arrives now fails."""
        if self._answers_before <= 0:
            self.begin()
        return self.is_on

    def was_answered(self) -> None:
        with self._lock:
            if self._answers_before <= 0:
                return
            self._answers_before -= 1
            is_last = self._answers_before == 0
        if is_last:
            self.begin()


@dataclass(frozen=True)
class Failing:
    outage: Outage
    fault: str
    before: Callable[[Received], Script]


class OutageUpstream(ScriptedUpstream):
    """Answers with `answer`, but fails as set by `set_outage` while that outage lasts."""

    def __init__(self, answer: Answer | None = None) -> None:
        super().__init__(self._next)
        self._answer_well = answer or say("Hello from upstream")
        self._failing: dict[str, Failing] = {}
        self._reopening: list[threading.Timer] = []
        self._is_open = True
        self.answered: list[Received] = []
        self.failed: list[Received] = []
        self.overlapping: list[Received] = []
        """those that came while the client of an earlier one still waited"""

    def __exit__(self, *details: object) -> None:
        for timer in self._reopening:
            timer.cancel()
            timer.join(PATIENCE_SECONDS)
        self.open_port()
        super().__exit__(*details)

    def set_outage(
        self,
        fault: str,
        outage: Outage,
        model: str = ALL_MODELS,
        before: Callable[[Received], Script] = lambda request: (),
    ) -> None:
        """Fail requests for `model`, each after the steps `before`. A refused connection affects all models at once."""
        self._failing[model] = Failing(outage, fault, before)
        if fault == REFUSED:
            assert model == ALL_MODELS, "a closed port has no models"
            outage.calls(self._close_for, self.open_port)

    def forget(self) -> None:
        """Drop the records."""
        for found in (self.requests, self.answered, self.failed, self.overlapping):
            found.clear()

    # --- the port --------------------------------------------------------------

    def close_port(self) -> None:
        """Refuse connections and close the open ones. The port stays reserved, so that no other program gets it."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", self.port))  # bound but not listening: refused by the kernel
        self.hang_up()

    def open_port(self) -> None:
        with self._lock:
            if self._is_open:
                return
            self._is_open = True
            self._listener.listen(512)
        self._start(self._accept)

    def _close_for(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self.close_port()
        timer = threading.Timer(seconds, self.open_port)
        timer.daemon = True
        self._reopening.append(timer)
        timer.start()

    # --- one request -----------------------------------------------------------

    def _next(self, request: Received) -> Iterator[Step]:
        others = [one for one in list(self.requests) if one is not request and one.ended_at is None]
        if not all(one.client_has_left for one in others):
            self.overlapping.append(request)
        failing = self._failing.get(str(request.json.get("model", ""))) or self._failing.get(ALL_MODELS)
        if failing is not None and failing.outage.meets_a_request():
            self.failed.append(request)
            yield from _noting_the_end(request, [*failing.before(request), *OUTAGES[failing.fault](request)])
            return
        self.answered.append(request)
        yield from _noting_the_end(request, self._answer_well(request))
        if failing is not None:
            failing.outage.was_answered()


def _noting_the_end(request: Received, script: Script) -> Iterator[Step]:
    """The end is recorded before the last step: the client may read its bytes and send its next request at once."""
    *before, last = script
    yield from before
    if not isinstance(last, Wait):
        request.ended_at = time.monotonic()
    yield last


# --- records ------------------------------------------------------------


def most_at_once(requests: Iterable[Received], since: float = 0.0, until: float | None = None) -> int:
    """The largest number of parallel requests between two times."""
    until = time.monotonic() if until is None else until
    spans = [(one.at, until if one.ended_at is None else one.ended_at) for one in requests]
    spans = [(max(start, since), min(end, until)) for start, end in spans if start < until and end > since]
    return max((sum(start <= moment < end for start, end in spans) for moment, _ in spans), default=0)

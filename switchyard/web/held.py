"""Report the held requests: to the dashboard, `explain`, the status line and the metrics."""

import re
from collections.abc import Iterable
from math import ceil

from switchyard.protocols.names import ProtocolName
from switchyard.relay.hold import HeldRequest, Hold
from switchyard.routing.hold import Target
from switchyard.routing.waits import Waited
from switchyard.store.render import short_name
from switchyard.web.answers import Json
from switchyard.web.epochs import Epochs

SESSION_CHARS = 13
SHORT_REASON_CHARS = 24
SHOWN_UPSTREAMS = 2
STATUS = re.compile(r"\d{3}\b")


class HeldRequests:
    """`epochs` converts the times of the hold's clock."""

    def __init__(self, hold: Hold, epochs: Epochs) -> None:
        self._hold = hold
        self._epochs = epochs

    def rows(self) -> list[Json]:
        """Every held request, the oldest first."""
        return [self._row(held) for held in self._hold.held()]

    def count(self) -> int:
        return len(self._hold.held())

    def of_targets(self, targets: Iterable[Target]) -> list[Json]:
        """How many requests are held for each of these targets, and the next try; targets without any are left out."""
        waiting = [waited.target for held in self._hold.held() for waited in held.waits]
        return [
            {
                "upstream": target[0],
                "model": target[1],
                "requests": waiting.count(target),
                "next_try": self._next_try([target]),
            }
            for target in dict.fromkeys(targets)
            if target in waiting
        ]

    def phrase(self, client: ProtocolName) -> str:
        """How many requests of these clients are held and what the oldest waits for; "" if there is none."""
        mine = [held for held in self._hold.held() if held.exchange.client_protocol == client]
        return f"held: {len(mine)} ({self._what_next(mine[0])})" if mine else ""

    def _what_next(self, held: HeldRequest) -> str:
        if self._hold.is_queued(held):
            return "waiting for a free slot"
        causes = [
            f"{short_name(waited.target[0])}: {_short(waited.reason)}"
            for waited in held.waits[:SHOWN_UPSTREAMS]
        ]
        moment = self._hold.next_try_at(waited.target for waited in held.waits)
        seconds = None if moment is None else ceil(self._epochs.seconds_until(moment))
        return ", ".join([*causes, f"next try {seconds} s" if seconds else "trying now"])

    def _row(self, held: HeldRequest) -> Json:
        exchange = held.exchange
        return {
            "id": exchange.id,
            "protocol": exchange.client_protocol,
            "client": exchange.client,
            "agent": exchange.client_agent,
            "model": exchange.requested_model,
            "session": exchange.session[:SESSION_CHARS],
            "since": self._epochs.of(held.since),
            "until": self._epochs.of(held.ends_at),
            "next_try": self._next_try(waited.target for waited in held.waits),
            "queued": self._hold.is_queued(held),
            "upstreams": [_upstream(held, waited) for waited in held.waits],
        }

    def _next_try(self, targets: Iterable[Target]) -> int | None:
        moment = self._hold.next_try_at(targets)
        return None if moment is None else self._epochs.of(moment)


def _upstream(held: HeldRequest, waited: Waited) -> Json:
    name, model = waited.target
    tries = sum((attempt.account, attempt.model) == waited.target for attempt in held.exchange.attempts)
    return {"upstream": name, "model": model, "reason": waited.reason, "tries": tries}


def _short(reason: str) -> str:
    """The status alone if the reason starts with one; else its beginning, without the explanation."""
    status = STATUS.match(reason)
    return status[0] if status else reason.partition(" (")[0][:SHORT_REASON_CHARS]

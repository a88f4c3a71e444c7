"""Report the tool calls that wait for the user's decision."""

from switchyard.relay.decisions import Decisions, WaitingCall
from switchyard.web.answers import Json
from switchyard.web.epochs import Epochs
from switchyard.web.held import SESSION_CHARS
from switchyard.web.request_view import reasons_view

MAX_ARGUMENTS = 20_000


class WaitingCalls:
    """`epochs` converts the times of the clock of the decisions."""

    def __init__(self, decisions: Decisions, epochs: Epochs) -> None:
        self._decisions = decisions
        self._epochs = epochs

    def rows(self) -> list[Json]:
        """The oldest first."""
        return [self._row(id, call) for id, call in self._decisions.waiting().items()]

    def _row(self, id: str, call: WaitingCall) -> Json:
        exchange = call.exchange
        return {
            "id": id,
            "request": exchange.id,
            "protocol": exchange.client_protocol,
            "client": exchange.client,
            "agent": exchange.client_agent,
            "model": exchange.requested_model,
            "session": exchange.session[:SESSION_CHARS],
            "upstream": call.upstream,
            "tool": call.tool,
            "arguments": _beginning(call.arguments),
            "reasons": reasons_view(call.reasons),
            "since": self._epochs.of(call.since),
            "until": self._epochs.of(call.until),
        }


def _beginning(text: str) -> str:
    """What is left out is counted, as the attack may be in there."""
    more = len(text) - MAX_ARGUMENTS
    return text if more <= 0 else f"{text[:MAX_ARGUMENTS]} … (+ {more})"

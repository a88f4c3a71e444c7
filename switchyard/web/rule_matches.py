"""Try a rule that is being edited on the last requests."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from switchyard.exchange import Exchange
from switchyard.routing.rules import Ruled, applies, find_rule
from switchyard.settings import RouteRule
from switchyard.settings_validation import parse
from switchyard.web.answers import Handler, Json, Problem, answer, read_object
from switchyard.web.editing import changed_settings
from switchyard.web.overview import Daemon

TRIED = 100
"""requests"""


class RuleMatches:
    """The handler of one path."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> dict[str, Handler]:
        return {"/api/routes/matches": self.matches}

    async def matches(self, request: Request) -> Response:
        """The requests to which a rule of the given list would apply, and the rule that would decide each of them."""
        body = await read_object(request)
        document = changed_settings(self._daemon.settings_file.document, {"routes": body.get("routes")})
        rules = parse(document).settings.routes
        rule = _numbered(rules, body.get("number"))
        past, home = list(self._past()), self._daemon.dependencies.home
        found = (_match(rules, rule, exchange, home) for exchange in past)
        return answer({"tried": len(past), "matches": [match for match in found if match is not None]})

    def _past(self) -> Iterator[Exchange]:
        """Newest first: those whose facts are known."""
        known = (one for one in self._daemon.recent.last() if one.facts is not None)
        yield from (exchange for exchange, _ in zip(known, range(TRIED), strict=False))


def _numbered(rules: Sequence[RouteRule], number: object) -> RouteRule:
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= len(rules):
        raise Problem(400, "`number` must be the number of one of the rules, counted from 1.", "number")
    return rules[number - 1]


def _match(rules: Sequence[RouteRule], rule: RouteRule, exchange: Exchange, home: str) -> Json | None:
    """None if the rule does not apply. The first rule of the list that applies decides."""
    assert exchange.facts is not None
    protocol, model = exchange.client_protocol, exchange.requested_model
    wall = datetime.fromtimestamp(exchange.at).astimezone()
    decides = find_rule(rules, protocol, model, exchange.facts, wall, home)
    if decides is None or not applies(rule.when, protocol, model, exchange.facts, wall, home):
        return None
    return _view(exchange, decides)


def _view(exchange: Exchange, decides: Ruled) -> Json:
    return {
        "id": exchange.id,
        "at": exchange.at,
        "protocol": exchange.client_protocol,
        "agent": exchange.client_agent,
        "model": exchange.requested_model,
        "upstream": exchange.attempts[-1].upstream if exchange.attempts else "",
        "decided_by": decides.number,
    }

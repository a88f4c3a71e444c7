"""Find the rule that applies to a request: of its facts, the project and those that some rule names are read once."""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from switchyard.protocols.codec import BadRequest
from switchyard.protocols.facts import NO_FACTS, Facts
from switchyard.protocols.read_facts import project_stated
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.measuring import BYTES_PER_TOKEN, MEDIA, prompt_tokens
from switchyard.relay.past_facts import facts_of
from switchyard.relay.prepare import OFF_LOOP_BYTES, Preparation
from switchyard.relay.values import ClientRequest
from switchyard.routing.rules import Ruled, find_rule, token_thresholds, wanted_facts
from switchyard.settings import RouteRule, Settings


class Ruling(msgspec.Struct):
    """Knows the facts of one request."""

    _dependencies: Dependencies
    _request: ClientRequest
    _rules: Sequence[RouteRule] | None = None
    facts: Facts = NO_FACTS
    """as far as the rules name them, and the project"""

    async def rule(self, settings: Settings, preparation: Preparation) -> Ruled | None:
        """The rule that applies now. Tests and activations name their upstream, and have none."""
        request = self._request
        if request.kind != "request":
            return None
        rules = settings.routes
        if rules is not self._rules:
            self.facts = await self._read(rules, preparation) if rules else self._without_rules()
            self._rules = rules
        if not rules:
            return None
        wall, home = self._dependencies.now().wall, self._dependencies.home
        return find_rule(rules, request.protocol, request.summary.model, self.facts, wall, home)

    def _without_rules(self) -> Facts:
        request = self._request
        stated = project_stated(request.protocol, request.summary)
        return Facts(project=self._dependencies.projects.note(request.summary.session, stated))

    async def _read(self, rules: Sequence[RouteRule], preparation: Preparation) -> Facts:
        request, wanted = self._request, wanted_facts(rules)
        if wanted and len(request.body) > OFF_LOOP_BYTES:
            facts = await asyncio.to_thread(facts_of, request, wanted)
        else:
            facts = facts_of(request, wanted)
        tokens = await _tokens(request, preparation, token_thresholds(rules))
        project = self._dependencies.projects.note(request.summary.session, facts.project)
        return replace(facts, project=project, tokens=tokens)


async def _tokens(request: ClientRequest, preparation: Preparation, thresholds: list[int]) -> int:
    """The prompt is estimated only where its size in bytes does not decide."""
    most = len(request.body) // BYTES_PER_TOKEN
    if not thresholds or (most < min(thresholds) and MEDIA not in request.body):
        return most
    try:
        return await prompt_tokens(request, preparation)
    except (BadRequest, RecursionError):
        return most  # the attempt reports it

"""Learn from a refusal what an upstream does not take, and ask it again accordingly."""

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.codec import Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.refusals import LearnedLimit, learned_from
from switchyard.relay.dependencies import Learned
from switchyard.relay.prepare import Prepared, target_for
from switchyard.routing.lineup import Candidate

MAX_LEARNED_LIMITS = 4
"""of one request"""
MAX_LEARNED = 1000


class LimitLearning:
    """What one request learns: `lasting` holds for all later requests as well, the others for this one alone."""

    def __init__(self, lasting: Learned) -> None:
        self._lasting = lasting
        self._for_now: Learned = {}
        self._count = 0
        self.strips_thinking = False
        """the history of thinking is left out for every upstream: one has refused its signatures"""

    def target(self, candidate: Candidate, protocol: ProtocolName) -> Target:
        """The upstream with the limits that are known of it."""
        key = candidate.name, candidate.model
        return target_for(candidate, protocol, self._lasting.get(key, {}), self._for_now.get(key, {}))

    def learn(self, candidate: Candidate, failure: Failure, prepared: Prepared) -> str:
        """Why the request is sent to this upstream once more; "" if the failure names no new limit."""
        if failure.kind is not FailureKind.STATUS or candidate.upstream.is_demo:
            return ""
        learned = learned_from(failure.error, prepared.target.capabilities, prepared.input_estimate)
        if learned is None or self._count >= MAX_LEARNED_LIMITS or self._is_known(candidate, learned):
            return ""
        self._count += 1
        self.strips_thinking = self.strips_thinking or learned.strip_thinking
        self._remember(candidate, learned)
        return learned.why

    def _is_known(self, candidate: Candidate, learned: LearnedLimit) -> bool:
        """True if it was learned already, or if the settings file sets it: the file takes precedence."""
        if learned.strip_thinking and self.strips_thinking:
            return True
        configured = candidate.upstream.capabilities
        return (
            bool(learned.capabilities)
            and not learned.for_now
            and learned.capabilities.keys() <= configured.keys()
        )

    def _remember(self, candidate: Candidate, learned: LearnedLimit) -> None:
        memory = self._for_now if learned.for_now else self._lasting
        key = candidate.name, candidate.model
        if key not in memory and len(memory) >= MAX_LEARNED:
            del memory[next(iter(memory))]
        memory.setdefault(key, {}).update(learned.capabilities)

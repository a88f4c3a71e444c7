"""Learn from a refusal what an upstream does not take, and ask it again accordingly: only what helped is kept."""

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.codec import Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import WireError
from switchyard.protocols.refusals.limits import limits_in
from switchyard.protocols.refusals.rows import LearnedLimit
from switchyard.relay.dependencies import Learned, Unhelpful
from switchyard.relay.prepare import Prepared, target_for
from switchyard.routing.lineup import Candidate

MAX_REPETITIONS = 2
"""of one request, whatever it is asked of"""
MAX_LEARNED = 1000
MAX_UNHELPFUL = 100
"""of one model of an upstream"""

Key = tuple[str, str]
NOTHING_LEARNED: Mapping[str, Any] = {}


class _Trial(msgspec.Struct, frozen=True):
    """A change that is being tried against a refusal."""

    key: Key
    refusal: str
    limit: LearnedLimit


class LimitLearning(msgspec.Struct):
    """What one request learns.

    A change is on trial until the request with it succeeds; then `lasting` holds it for all later requests. One that
    is followed by the same refusal is undone, and `unhelpful` keeps later requests from trying it against that.
    """

    _lasting: Learned
    _unhelpful: Unhelpful
    _trials: tuple[_Trial, ...] = ()
    _refused: set[tuple[Key, bytes]] = msgspec.field(default_factory=set)
    _undone: set[tuple[Key, str, str]] = msgspec.field(default_factory=set)
    _repetitions: int = 0

    @property
    def strips_thinking(self) -> bool:
        """The history of thinking is left out for every upstream: one has refused its signatures."""
        return bool(self._trials) and any(trial.limit.strip_thinking for trial in self._trials)

    def target(self, candidate: Candidate, protocol: ProtocolName) -> Target:
        """The upstream with the limits that are known of it or on trial."""
        key = _key_of(candidate)
        lasting = self._lasting.get(key, NOTHING_LEARNED)
        if not self._trials:
            return target_for(candidate, protocol, lasting)
        learned = dict(lasting)
        for_now: dict[str, Any] = {}
        for trial in self._trials:
            if trial.key == key:
                (for_now if trial.limit.for_now else learned).update(trial.limit.capabilities)
        return target_for(candidate, protocol, learned, for_now)

    # --- a refusal -------------------------------------------------------------------

    def note_refusal(self, candidate: Candidate, failure: Failure, prepared: Prepared) -> frozenset[str]:
        """Undo what has not helped against this refusal: the changes that are not to be tried again."""
        key, refusal = _key_of(candidate), _refusal(failure.error)
        self._refused.add((key, _identity(prepared)))
        undone = [trial for trial in self._trials if (trial.key, trial.refusal) == (key, refusal)]
        self._trials = tuple(trial for trial in self._trials if trial not in undone)
        for trial in undone:
            self._undone.add((key, refusal, trial.limit.key))
            self._note_unhelpful(trial)
        return frozenset(change for of, against, change in self._undone if (of, against) == (key, refusal))

    def _note_unhelpful(self, trial: _Trial) -> None:
        if trial.limit.for_now or not trial.limit.capabilities:
            return
        _make_room(self._unhelpful, trial.key)
        tried = self._unhelpful.setdefault(trial.key, {})
        if len(tried) < MAX_UNHELPFUL:
            tried[trial.refusal, trial.limit.key] = None

    def changes(
        self, candidate: Candidate, failure: Failure, prepared: Prepared, tried: frozenset[str]
    ) -> Iterator[LearnedLimit]:
        """What may help against the refusal, the best first, without what was `tried`."""
        if failure.kind is not FailureKind.STATUS or candidate.upstream.is_demo:
            return
        if self._repetitions >= MAX_REPETITIONS:
            return
        known = self.target(candidate, prepared.protocol).capabilities
        unhelpful = self._unhelpful.get(_key_of(candidate), {})
        refusal = _refusal(failure.error)
        for limit in limits_in(failure.error, known, prepared.input_estimate):
            is_tried = limit.key in tried or (refusal, limit.key) in unhelpful
            if not is_tried and not _is_configured(candidate, limit):
                yield limit

    def begin(self, candidate: Candidate, failure: Failure, limit: LearnedLimit) -> None:
        """Put the change on trial."""
        self._trials = (*self._trials, _Trial(_key_of(candidate), _refusal(failure.error), limit))

    def withdraw(self) -> None:
        """Undo the last change: it changes nothing for this request."""
        self._trials = self._trials[:-1]

    def repeat(self) -> None:
        self._repetitions += 1

    def was_refused(self, candidate: Candidate, prepared: Prepared) -> bool:
        """True if this upstream has refused the very same request."""
        return (_key_of(candidate), _identity(prepared)) in self._refused

    # --- a success -------------------------------------------------------------------

    def succeeded(self, candidate: Candidate) -> None:
        """Keep what was on trial for this upstream: the request with it has been answered."""
        if not self._trials:
            return
        key = _key_of(candidate)
        for trial in self._trials:
            if trial.key == key and not trial.limit.for_now and trial.limit.capabilities:
                self._remember(key, trial.limit)

    def _remember(self, key: Key, limit: LearnedLimit) -> None:
        _make_room(self._lasting, key)
        self._lasting.setdefault(key, {}).update(limit.capabilities)


def _make_room(memory: dict[Key, Any], key: Key) -> None:
    if key not in memory and len(memory) >= MAX_LEARNED:
        del memory[next(iter(memory))]


def _key_of(candidate: Candidate) -> Key:
    return candidate.name, candidate.model


def _is_configured(candidate: Candidate, limit: LearnedLimit) -> bool:
    """True if the settings file sets it: the file takes precedence."""
    if not limit.capabilities or limit.for_now:
        return False
    return limit.capabilities.keys() <= candidate.upstream.capabilities.keys()


NUMBERS = re.compile(r"\d+|\(request id: [^)]*\)|req_\w+")


def _refusal(error: WireError) -> str:
    """The same for the same refusal, wherever it stands in the request."""
    return NUMBERS.sub("#", f"{error.param} {error.code} {error.message}"[:1000])


def _identity(prepared: Prepared) -> bytes:
    """The same for requests that the upstream cannot tell apart."""
    betas = ",".join(prepared.target.capabilities.refused_betas)
    return blake2b(prepared.body + betas.encode(), digest_size=16).digest()

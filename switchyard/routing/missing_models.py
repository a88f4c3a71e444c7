"""Remember which upstreams have answered "no such model". Time is an argument (monotonic seconds)."""

from collections import OrderedDict
from collections.abc import Collection

FORGET_SECONDS = 3600.0
MAX_MISSING = 1000
"""bounded, as clients choose the names of models"""


class MissingModels:
    """Each report counts for an hour, unless its entry is edited or the upstream serves the model after all."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def is_missing(self, upstream: str, model: str, now: float) -> bool:
        return self._until.get((upstream, model), now) > now

    @property
    def is_empty(self) -> bool:
        return not self._until

    def note(self, upstream: str, model: str, now: float) -> None:
        """The upstream has just reported that it does not have this model."""
        self._drop_expired(now)
        self._until[upstream, model] = now + FORGET_SECONDS
        self._until.move_to_end((upstream, model))
        while len(self._until) > MAX_MISSING:
            self._until.popitem(last=False)

    def note_served(self, upstream: str, model: str) -> None:
        """The upstream has answered for this model."""
        self._until.pop((upstream, model), None)

    def forget(self, upstream: str) -> None:
        """The user wants the upstream to answer: it may have the models by now."""
        for key in [key for key in self._until if key[0] == upstream]:
            del self._until[key]

    def keep_only(self, upstreams: Collection[str]) -> None:
        """Forget what the other upstreams have reported: their entries were edited or removed."""
        for key in [key for key in self._until if key[0] not in upstreams]:
            del self._until[key]

    def _drop_expired(self, now: float) -> None:
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

    def __len__(self) -> int:
        return len(self._until)

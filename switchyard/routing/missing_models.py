"""Remember which upstreams have answered that they do not have a model. Time is an argument (monotonic seconds)."""

from collections import OrderedDict
from collections.abc import Collection

FORGET_SECONDS = 3600.0
NO_CHANNEL_SECONDS = 60.0
"""a relay has the model, but no upstream of its own that serves it now"""
MAX_MISSING = 1000
"""bounded, as clients choose the names of models"""


class MissingModels:
    """Each report counts for an hour, or for a minute if the upstream only has no channel for the model now; less if
    its entry is edited, if the user clears it, and if the upstream serves the model after all."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def is_missing(self, upstream: str, model: str, now: float) -> bool:
        return self._until.get((upstream, model), now) > now

    def models_of(self, accounts: Collection[str], now: float) -> list[str]:
        """The models that these have reported not to have."""
        missing = (model for (name, model), until in self._until.items() if name in accounts and until > now)
        return list(dict.fromkeys(missing))

    @property
    def is_empty(self) -> bool:
        return not self._until

    def note(self, upstream: str, model: str, now: float, *, seconds: float = FORGET_SECONDS) -> None:
        """The upstream has just reported that it does not have this model."""
        self._drop_expired(now)
        self._until[upstream, model] = now + seconds
        self._until.move_to_end((upstream, model))
        while len(self._until) > MAX_MISSING:
            self._until.popitem(last=False)

    def note_served(self, upstream: str, model: str) -> None:
        """The upstream has answered for this model."""
        self._until.pop((upstream, model), None)

    def forget(self, accounts: Collection[str] | None = None) -> None:
        """The user wants these, or all, to answer: they may have the models by now."""
        for key in [key for key in self._until if accounts is None or key[0] in accounts]:
            del self._until[key]

    def keep_only(self, upstreams: Collection[str]) -> None:
        """Forget what the other upstreams have reported: their entries were edited or removed."""
        for key in [key for key in self._until if key[0] not in upstreams]:
            del self._until[key]

    def _drop_expired(self, now: float) -> None:
        for key in [key for key, until in self._until.items() if until <= now]:
            del self._until[key]

    def __len__(self) -> int:
        return len(self._until)

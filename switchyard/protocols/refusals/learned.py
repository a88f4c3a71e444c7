"""One change that a refusal suggests."""

from collections.abc import Mapping
from typing import Any

import msgspec

from switchyard.protocols.wire import json_text


class LearnedLimit(msgspec.Struct, frozen=True):
    """One change that may help. `capabilities` hold for this model of the upstream once a request with them has
    succeeded, unless they and `strip_thinking` are only `for_now`, for the request at hand."""

    why: str
    capabilities: Mapping[str, Any] = msgspec.field(default_factory=dict)
    strip_thinking: bool = False
    for_now: bool = False

    @property
    def key(self) -> str:
        """The same for the same change."""
        return json_text([self.capabilities, self.strip_thinking])

"""Settings that a conversation changes as it goes on, so that its beginning stays the same for the prompt cache.

https://developers.openai.com/api/docs/guides/reasoning#change-reasoning-mid-conversation
"""

from collections.abc import Iterable, Mapping
from typing import Any

from switchyard.protocols.wire import Json, fields

UPDATE = "configuration_update"
MEMBERS = (("reasoning", "effort"), ("text", "format"))


def is_update(item: object) -> bool:
    return fields(item).get("type") == UPDATE


def last_settings(body: Mapping[str, Any], items: Iterable[Any]) -> Json:
    """The members of the request that its items change, with the settings that they make last."""
    changed: Json = {}
    for item in filter(is_update, items):
        for member, inner in MEMBERS:
            given = fields(item.get(member))
            if inner in given:
                changed[member] = {**fields(body.get(member)), inner: given[inner]}
    return changed

"""Fields of a document that its type does not define: a misspelt name may hold a secret, so no value is shown."""

from collections.abc import Callable
from types import UnionType
from typing import Any, TypeGuard, Union, get_args, get_origin

import msgspec

from switchyard.faults import fields_of, shape, unwrapped

Json = dict[str, Any]
Blank = Callable[[Any], Any]
SCHEMA = "$schema"
"""not a Switchyard field: editors use it for completion"""


def without_unknown(hint: Any, raw: Any, blank: Blank) -> Any:
    """The value with the fields that its type defines. Unknown ones are blanked whole, as any part may be secret."""
    hint = _hint_for(hint, raw)
    if hint is Any or raw is None or not (isinstance(raw, dict | list) or shape(hint) in (dict, list)):
        return raw
    if shape(hint) is not type(raw):
        return blank(raw)
    if _is_struct(hint):
        return {name: _member(hint, name, value, blank) for name, value in raw.items()}
    if isinstance(raw, dict):
        return {name: without_unknown(_item_hint(hint), value, blank) for name, value in raw.items()}
    return [without_unknown(_item_hint(hint), value, blank) for value in raw]


def with_unknown(hint: Any, sent: Any, stored: Any, mask: str) -> Any:
    """The sent value with the unknown fields of the stored one, which were shown with `mask` in their place.

    An unknown field that is left out stays as well; null removes it.
    """
    hint = _hint_for(hint, sent)
    if type(sent) is not type(stored) or shape(hint) is not type(sent):
        return sent
    if isinstance(sent, dict) and _is_struct(hint):
        return _filled(hint, sent, stored, mask)
    item = _item_hint(hint)
    if not _is_struct(item):
        return sent
    if isinstance(sent, dict):
        twins = _twins(item, sent, stored, mask, tuple(sent.keys() & stored.keys()))
        return {name: with_unknown(item, value, twins.get(name), mask) for name, value in sent.items()}
    twins = _twins(item, dict(enumerate(sent)), dict(enumerate(stored)), mask)
    return [with_unknown(item, value, twins.get(place), mask) for place, value in enumerate(sent)]


def _member(kind: type[msgspec.Struct], name: str, value: Any, blank: Blank) -> Any:
    fields = fields_of(kind)
    if name in fields:
        return without_unknown(fields[name][0], value, blank)
    return value if name == SCHEMA else blank(value)


def _filled(kind: type[msgspec.Struct], sent: Json, stored: Json, mask: str) -> Json:
    fields = fields_of(kind)
    filled: Json = {}
    for name, value in sent.items():
        if name in fields:
            filled[name] = with_unknown(fields[name][0], value, stored.get(name), mask)
        elif value is not None:
            filled[name] = stored.get(name, value) if value == mask else value
    return filled | {name: value for name, value in stored.items() if name not in fields and name not in sent}


def _twins(
    kind: type[msgspec.Struct],
    sent: dict[Any, Any],
    stored: dict[Any, Any],
    mask: str,
    same: tuple[Any, ...] = (),
) -> dict[Any, Json]:
    """The stored value from which each sent one was made; `same` are the positions that both have.

    Other values may have been moved or renamed: those without other changes are matched first, then those with the
    same unknown fields.
    """
    found: dict[Any, Json] = {place: stored[place] for place in same}
    left = {place: value for place, value in stored.items() if place not in found and isinstance(value, dict)}
    views: tuple[Blank, ...] = (
        lambda value: without_unknown(kind, value, lambda _: mask),
        _unknown_names(kind),
    )
    for view in views:
        seen = {place: view(value) for place, value in left.items()}
        for place, value in sent.items():
            wanted = view(value) if place not in found and isinstance(value, dict) else None
            twin = next((other for other in seen if wanted and seen[other] == wanted), None)
            if twin is not None:
                found[place] = left.pop(twin)
                del seen[twin]
    return found


def _unknown_names(kind: type[msgspec.Struct]) -> Blank:
    return lambda value: value.keys() - fields_of(kind).keys()


def _is_struct(hint: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _item_hint(hint: Any) -> Any:
    """The type of the items of a list or of an object with any names."""
    arguments = get_args(hint)
    return arguments[1 if shape(hint) is dict else 0] if arguments else Any


def _hint_for(hint: Any, value: Any) -> Any:
    """The type without its annotations; of a union, the member with the value's own JSON type."""
    hint, _ = unwrapped(hint)
    if get_origin(hint) not in (Union, UnionType):
        return hint
    return next((unwrapped(one)[0] for one in get_args(hint) if shape(one) is type(value)), hint)

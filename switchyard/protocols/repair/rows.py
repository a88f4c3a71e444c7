"""The kinds of rows that the tables of repairs are made of, and how a table is applied.

A row reads and sets members of the body and never changes a value in place. It knows which capabilities it looks at,
and by which sign a conversation that it may change is recognized: what it cannot change is not even decoded. One look
at the conversation, without its texts, finds all signs.
"""

from collections.abc import Callable, Iterable, MutableMapping
from functools import lru_cache
from operator import is_
from typing import Any

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import DEFAULT_CAPABILITIES, Target
from switchyard.protocols.effort import EFFORTS, clamped
from switchyard.protocols.passthrough.peek import ABSENT, Document
from switchyard.protocols.wire import UNREADABLE, Json, entries, repaired

Body = MutableMapping[str, Any]
Scalar = str | int | float | bool | None
"""what may stand in place of an object"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`looks_at`: capabilities; a row applies where one of them differs from its default, without any everywhere.

    `value`: applies only where the one capability has this value.
    `sign`: of rows that read the conversation; without it, it holds nothing for them to change.
    """

    looks_at: tuple[str, ...] = ()
    value: object = None
    sign: str | None = None

    def applies(self, capabilities: Capabilities) -> bool:
        values = [
            (getattr(capabilities, name), getattr(DEFAULT_CAPABILITIES, name)) for name in self.looks_at
        ]
        if self.value is not None:
            return bool(values[0][0] == self.value)
        return not values or any(value != default for value, default in values)

    def change(self, body: Body, target: Target) -> None:
        raise NotImplementedError


class Table(msgspec.Struct, frozen=True, eq=False):
    """The rows of one protocol in the order in which they are applied, and how it turns thinking on and strips it.

    `signs_in` finds the signs; it may raise what msgspec raises. `strip_thinking` drops the thinking that is signed so,
    with None all of it.
    """

    rows: tuple[Row, ...]
    signs_in: Callable[[Document], Iterable[str]]
    turn_thinking_on: Callable[[Body], None]
    strip_thinking: Callable[[Body, frozenset[str] | None], None]

    def repair(self, document: Document, target: Target) -> None:
        """Change what this upstream does not take."""
        signs = self._signs(document)
        for row in _applying(self, target.capabilities):
            # a conversation that was changed is decoded already
            if row.sign is None or signs is None or row.sign in signs or document.history_is_changed:
                row.change(document, target)

    def _signs(self, document: Document) -> frozenset[str] | None:
        """None where the conversation has no usual form: then anything may be in it."""
        if document.signs is not None:
            return document.signs
        try:
            return frozenset(self.signs_in(document))
        except UNREADABLE:
            pass
        try:
            # broken characters are no reason to decode more of it
            return frozenset(self.signs_in(Document(repaired(document.body))))
        except UNREADABLE:
            return None


@lru_cache(maxsize=1024)
def _applying(table: Table, capabilities: Capabilities) -> tuple[Row, ...]:
    return tuple(row for row in table.rows if row.applies(capabilities))


def begins_with(raw: msgspec.Raw, *beginnings: bytes) -> bool:
    """How a value begins, as it stands in the body."""
    return raw is not ABSENT and bytes(memoryview(raw)[:16]).startswith(beginnings)


# --- kinds of rows --------------------------------------------------------------


class Change(Row, frozen=True, kw_only=True):
    """Whatever has no kind of its own."""

    by: Callable[[Body, Target], None]

    def change(self, body: Body, target: Target) -> None:
        self.by(body, target)


class Drop(Row, frozen=True, kw_only=True):
    members: tuple[str, ...]

    def change(self, body: Body, target: Target) -> None:
        drop(body, self.members)


class Rename(Row, frozen=True, kw_only=True):
    """A member that is known by another name only, where the one capability names that."""

    old: str
    new: str

    def change(self, body: Body, target: Target) -> None:
        if getattr(target.capabilities, self.looks_at[0]) == self.new and body.get(self.old) is not None:
            value = body.pop(self.old)
            body.setdefault(self.new, value)


class Cap(Row, frozen=True, kw_only=True):
    """More than the upstream gives or takes: the one capability is the most."""

    looks_at: tuple[str, ...] = ("max_output_tokens",)
    members: tuple[str, ...]

    def change(self, body: Body, target: Target) -> None:
        most = getattr(target.capabilities, self.looks_at[0])
        for name in self.members:
            asked = body.get(name)
            if most is not None and isinstance(asked, int | float) and asked > most:
                body[name] = most


class Fix(Row, frozen=True, kw_only=True):
    member: str
    to: object

    def change(self, body: Body, target: Target) -> None:
        if body.get(self.member) is not self.to:
            body[self.member] = self.to


class Clamp(Row, frozen=True, kw_only=True):
    """An effort that the model does not know becomes the nearest that it knows, or is left out.

    It stands in `member`, or in its field `inside`; a member left empty goes too.
    """

    looks_at: tuple[str, ...] = ("efforts",)
    member: str
    inside: str = ""

    def change(self, body: Body, target: Target) -> None:
        value = body.get(self.member)
        effort = field(value, self.inside) if self.inside else value
        if effort not in EFFORTS or effort in target.capabilities.efforts:
            return
        nearest = clamped(effort, target.capabilities.efforts)
        put(body, self.member, with_field(value, self.inside, nearest) if self.inside else nearest)


class RenameDeveloper(Row, frozen=True, kw_only=True):
    looks_at: tuple[str, ...] = ("developer_role",)
    history: str

    def change(self, body: Body, target: Target) -> None:
        rewrite(
            body,
            self.history,
            lambda one: {**one, "role": "system"} if has_fields(one, role="developer") else one,
        )


class ReplaceParts(Row, frozen=True, kw_only=True):
    """Parts that the model cannot read, in the `places` of an entry or deeper, become what `by` makes of them."""

    history: str
    type: str
    by: Callable[[Json], Json]
    places: tuple[str, ...] = ("content",)

    def change(self, body: Body, target: Target) -> None:
        rewrite(body, self.history, self._with_places)

    def _with_places(self, holder: Any) -> Any:
        for place in self.places:
            inner = field(holder, place)
            if isinstance(inner, list):
                holder = with_parts(holder, place, [self._replaced(part) for part in inner])
        return holder

    def _replaced(self, part: Any) -> Any:
        return self.by(part) if field(part, "type") == self.type else self._with_places(part)


# --- what rows do ---------------------------------------------------------------


def drop(body: Body, names: Iterable[str]) -> None:
    for name in names:
        if name in body:
            del body[name]


def put(body: Body, name: str, value: object) -> None:
    """The member with this value, or gone if that is None or empty."""
    if value:
        body[name] = value
    else:
        drop(body, (name,))


def rewrite(body: Body, name: str, by: Callable[[Any], Any]) -> None:
    """Each entry of a list as `by` makes it; the very same entries change nothing."""
    old = entries(body.get(name))
    put_list(body, name, old, [by(entry) for entry in old])


def put_list(body: Body, name: str, old: list[Any], new: list[Any]) -> None:
    """The member set, unless these are the very same entries."""
    if not same(old, new):
        body[name] = new


def with_parts(holder: Json, name: str, new: list[Any]) -> Json:
    """The holder with these parts, itself if they are the very same."""
    return holder if same(holder[name], new) else {**holder, name: new}


def same(old: list[Any], new: list[Any]) -> bool:
    return len(old) == len(new) and all(map(is_, old, new))


def with_field(value: Any, name: str, new: object) -> Json:
    """The object with this field, or without it if it is None."""
    rest = {field: old for field, old in value.items() if field != name}
    return rest if new is None else {**value, name: new}


def is_among(value: object, only: frozenset[str] | None) -> bool:
    """True for one of these texts; without a set for whatever it is."""
    return only is None or (isinstance(value, str) and value in only)


def field(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def has_fields(value: object, **fields: str) -> bool:
    return isinstance(value, dict) and all(value.get(name) == text for name, text in fields.items())


def objects(value: object) -> list[Json]:
    return [entry for entry in entries(value) if isinstance(entry, dict)]


def as_parts(content: object) -> list[Any]:
    if isinstance(content, str):
        return [text_part(content)] if content else []
    return entries(content)


def merged(
    messages: list[Any], belong: Callable[[Any, Any], bool], content: Callable[[Json, Json], str | list[Any]]
) -> list[Any]:
    """Neighbours that belong together as one message, with the `content` of both."""
    merged: list[Any] = []
    for message in messages:
        if merged and belong(merged[-1], message):
            merged[-1] = {**merged[-1], "content": content(merged[-1], message)}
        else:
            merged.append(message)
    return merged


def joined_content(first: Json, second: Json) -> str | list[Any]:
    contents = first.get("content"), second.get("content")
    if any(isinstance(content, list) for content in contents):
        return [part for content in contents for part in as_parts(content)]
    return "\n\n".join(content for content in contents if isinstance(content, str))


def text_part(text: object, type: str = "text") -> Json:
    return {"type": type, "text": text}

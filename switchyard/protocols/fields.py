"""The fields of requests as tables: a row for every member of a protocol and what it stands for.

A row is all that a new field takes: its name on the wire, its name in the neutral request, how it is decoded and
encoded, which capability the upstream needs, and why it is lost otherwise. `docs/conversion.md` is made from the rows.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import compress, filterfalse, repeat
from operator import attrgetter, is_not
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.effort import clamped, is_effort
from switchyard.protocols.large import encode_large
from switchyard.protocols.neutral import Loss
from switchyard.protocols.repair.refused import REFUSED, has_path
from switchyard.protocols.repair.rows import Row
from switchyard.protocols.tools.choice import Offer
from switchyard.protocols.wire import Json, bad_field, fields, text

NOT_TAKEN = "this upstream does not support it"
NO_FIELD = "this protocol has no such field"
NOWHERE_ELSE = "no other protocol has it"
NOT_WITH_THINKING = "this request cannot set it at this upstream"
NO_EFFORT = ("auto", "default")
DISPLAYS = {"summarized": "auto", "omitted": neutral.OMITTED}
NOTHING: tuple[object, ...] = (None, False, [], {}, "", ())
"""Values that ask for nothing."""
MAX_IDENTIFIER_LENGTH = 64

Decode = Callable[[Any, str], Any]
"""The neutral value of a value and its path, None if it asks for nothing. Raises BadRequest."""
Encode = Callable[[Any, Capabilities], Any]
"""The value on the wire of a neutral value, None if it cannot be expressed."""


class Field(msgspec.Struct, frozen=True):
    """One member of the requests of one protocol.

    `wire`: its name, with a dot before the member of a member; "" for a part of the neutral request that the protocol
    has no member for. `name`: the part of the neutral request; "" where no other protocol has one. Without `decode`
    or `encode` the codec itself decodes or encodes it. `needs`: the capability without which it is not sent.
    `loss`: why it is lost then; "" drops it silently, as a hint. `idle`: values that ask for nothing.
    `unknown`: why a value is lost that `decode` does not know. `note`: what the codec does beyond the row, for the
    documentation. `member` and `inner` are the two parts of `wire`, and not given.
    """

    wire: str
    name: str = ""
    decode: Decode | None = None
    encode: Encode | None = None
    needs: str = ""
    loss: str = ""
    idle: tuple[str, ...] = ()
    unknown: str = ""
    note: str = ""
    member: str = ""
    inner: str = ""

    def __post_init__(self) -> None:
        member, _, inner = self.wire.partition(".")
        force_setattr(self, "member", member)
        force_setattr(self, "inner", inner)

    @property
    def stays_behind(self) -> bool:
        """True for a member that no other protocol can carry."""
        return not self.name and self.decode is None and bool(self.loss)

    @property
    def is_refused(self) -> bool:
        """True for a member without which the answer would be another one."""
        return not self.name and self.decode is not None and bool(self.loss)


class Table:
    """The rows of one protocol, in order, and those among them that each step needs."""

    def __init__(self, *rows: Field) -> None:
        self._rows = rows
        self._decoded = tuple(
            (field.member, field.inner, field.name, field.decode, field.wire)
            for field in rows
            if field.decode is not None
        )
        self._decoded_members = tuple(member for member, *_ in self._decoded)
        self.encoded = tuple(
            field for field in rows if field.encode is not None or (field.loss and not field.wire)
        )
        self.encoded_parts: Callable[[neutral.Request], tuple[Any, ...]] = attrgetter(
            *(field.name for field in self.encoded)
        )
        self.with_unknown = tuple(field for field in rows if field.unknown)
        self.by_member = {field.member: field for field in rows if not (field.inner and field.stays_behind)}
        self.own_parts = tuple(field for field in rows if field.inner and field.stays_behind)
        named = {field.member for field in rows if field.name and not field.inner}
        self.known_parts = {
            member: {field.inner for field in rows if field.member == member}
            for member in {field.member for field in rows if field.inner} - named
        }
        """of the members that no row decodes as a whole"""
        self.carried = frozenset(name for name, field in self.by_member.items() if not field.stays_behind)

    def __iter__(self) -> Iterator[Field]:
        return iter(self._rows)

    def decoding(self, body: Json) -> Iterator[tuple[str, str, str, Decode, str]]:
        """Member, inner member, name, decoder and path of the rows that decode a member of this body."""
        return compress(self._decoded, map(body.__contains__, self._decoded_members))


def decode_fields(table: Table, body: Json) -> dict[str, Any]:
    """The parts of the neutral request that the rows decode; of several rows for one part the first counts.

    What the rows say of reasoning is taken together. Raises BadRequest.
    """
    found: dict[str, Any] = {}
    for member, inner, name, decode, path in table.decoding(body):
        value = fields(body[member]).get(inner) if inner else body[member]
        if value is None:
            continue
        known = found.get(name)
        if known is not None and not isinstance(known, neutral.Reasoning):
            continue
        decoded = decode(value, path)
        if decoded is not None and name:
            found[name] = decoded if known is None else known.joined(decoded)
    return found


def lost_fields(table: Table, body: Json) -> list[Loss]:
    """The members of a client's request that no other protocol can carry."""
    lost: list[Loss] = []
    for name in filterfalse(table.carried.__contains__, body):
        field, value = table.by_member.get(name), body[name]
        if value not in NOTHING and (field is None or value not in field.idle):
            lost.append(Loss(name, NOWHERE_ELSE if field is None else field.loss))
    for name in filter(table.known_parts.__contains__, body):
        parts = fields(body[name])
        unknown = (part for part in parts if part not in table.known_parts[name])
        lost += [Loss(f"{name}.{part}", NOWHERE_ELSE) for part in unknown if parts[part] not in NOTHING]
    for field in table.own_parts:
        value = fields(body.get(field.member)).get(field.inner)
        if value not in NOTHING and value not in field.idle:
            lost.append(Loss(field.wire, field.loss))
    for field in table.with_unknown:
        if field.member in body and _is_unknown(field, body):
            lost.append(Loss(field.wire, field.unknown))
    return lost


def _is_unknown(field: Field, body: Json) -> bool:
    value = fields(body[field.member]).get(field.inner) if field.inner else body[field.member]
    if value in NOTHING or value in field.idle or field.decode is None:
        return False
    return field.decode(value, field.wire) is None


def number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_field(path, "Input should be a valid number")
    return value


def integer(value: object, path: str) -> int:
    if type(value) is int:
        return value
    given = number(value, path)
    if given != int(given):
        raise bad_field(path, "Input should be a valid integer")
    return int(given)


def flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise bad_field(path, "Input should be true or false")
    return value


def members(value: object, path: str) -> Json | None:
    if not isinstance(value, dict):
        raise bad_field(path, "Input should be an object")
    return value or None


def word(value: object, _: str) -> str | None:
    """A text that is only a hint: anything else asks for nothing."""
    return text(value) or None


def effort(value: object, _: str) -> neutral.Reasoning | None:
    named = value.lower() if isinstance(value, str) else ""
    return neutral.Reasoning(effort=named) if is_effort(named) else None


def thinking(value: object, path: str) -> neutral.Reasoning | None:
    """`thinking` of Messages, which many Chat servers take as well."""
    given = members(value, path) or {}
    summary = DISPLAYS.get(text(given.get("display")))
    budget = given.get("budget_tokens")
    match given.get("type"):
        case "disabled":
            return neutral.Reasoning(enabled=False)
        case "adaptive":
            return neutral.Reasoning(enabled=True, adaptive=True, summary=summary)
        case None:
            return None
    return neutral.Reasoning(
        budget_tokens=budget if isinstance(budget, int) else None, enabled=True, summary=summary
    )


def encode_fields(
    table: Table,
    request: neutral.Request,
    capabilities: Capabilities,
    losses: list[Loss],
    without: Collection[str] = (),
) -> Json:
    """The members that the rows encode; what is set and not encoded is a loss. `without`: parts not to be sent."""
    body: Json = {}
    values = table.encoded_parts(request)
    are_set = map(is_not, values, repeat(None))
    for field, value in compress(zip(table.encoded, values, strict=True), are_set):
        if value in ("", ()) or value in field.idle:
            continue
        if field.name in without:
            losses.append(Loss(field.name, NOT_WITH_THINKING))
            continue
        is_taken = field.encode is not None and (not field.needs or getattr(capabilities, field.needs))
        encoded = field.encode(value, capabilities) if is_taken and field.encode else None
        if encoded is None:
            losses += [Loss(field.name, field.loss)] if field.loss else []
        elif field.inner:
            body.setdefault(field.member, {})[field.inner] = encoded
        else:
            body[field.member] = encoded
    return body


def same(value: Any, _: Capabilities) -> Any:
    return value


def warmth(value: float, capabilities: Capabilities) -> float:
    return min(value, capabilities.max_temperature)


def identifier(value: str, _: Capabilities) -> str:
    """Longer ids hold more than an id (Claude Code's: account and device), which no other service needs."""
    if len(value) <= MAX_IDENTIFIER_LENGTH:
        return value
    return sha256(value.encode("utf-8", "replace")).hexdigest()[:MAX_IDENTIFIER_LENGTH]


def clamped_effort(
    wanted: neutral.Effort | None, capabilities: Capabilities, losses: list[Loss]
) -> neutral.Effort | None:
    """The nearest effort that the upstream supports; None leaves it to the upstream."""
    if wanted is None:
        return None
    nearest = clamped(wanted, capabilities.efforts)
    if nearest is None:
        losses.append(Loss("reasoning", f"this upstream has no effort near {wanted}"))
    return nearest


def answer_limit(wanted: int, capabilities: Capabilities, least: int = 1) -> int:
    """`least`: fewer are refused; a client that requests none only wants its prompt cached."""
    most = capabilities.max_output_tokens
    return max(least, wanted if most is None else min(wanted, most))


def sent_request(
    body: Json,
    request: neutral.Request,
    target: Target,
    offer: Offer,
    losses: Sequence[Loss],
    stops: tuple[str, ...],
) -> SentRequest:
    """The body without what the upstream is known to refuse, and all that decoding the answer needs."""
    refused = _adapted(body, target)
    limited = _limit_losses(request.max_tokens, target.capabilities)
    return SentRequest(
        body=encode_large(body),
        target=target,
        tools=offer.names,
        stops=stops,
        losses=tuple(dict.fromkeys((*offer.losses, *losses, *limited, *refused))),
    )


def _limit_losses(wanted: int | None, capabilities: Capabilities) -> list[Loss]:
    most = capabilities.max_output_tokens
    if wanted is None or most is None or wanted <= most:
        return []
    return [Loss("max_tokens", f"this upstream gives at most {most}")]


def _adapted(body: Json, target: Target) -> list[Loss]:
    """Change in the body what the upstream is known to refuse."""
    rows = _refused(target.capabilities)
    if not rows:
        return []
    before = set(body)
    refused = [path for path in target.capabilities.dropped_fields if has_path(body, path)]
    for row in rows:
        row.change(body, target)
    gone = [name for name in sorted(before) if name not in body and name not in refused]
    return [Loss(name, "this upstream refuses it") for name in (*refused, *gone)]


@lru_cache(maxsize=1024)
def _refused(capabilities: Capabilities) -> tuple[Row, ...]:
    return tuple(row for row in REFUSED if row.applies(capabilities))

"""Compare a request as received with the request as sent: what is the same, changed, dropped and added."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Loss
from switchyard.protocols.readable import Part, ReadableRequest, neutral_parts

Change = Literal["same", "changed", "renamed", "joined", "dropped", "added"]
MAX_COMPARED = 250_000
"""pairs of parts; longer differing stretches are compared in their order only"""
MAX_DISTANCE = 100
"""how far the counterpart of a part is searched there"""


class ComparedMember(msgspec.Struct, frozen=True):
    """A member with both values; None where one side does not have it. `sent_as`: its other name there."""

    name: str
    change: Change
    received: Any = None
    sent: Any = None
    sent_as: str = ""
    why: str = ""


class ComparedPart(msgspec.Struct, frozen=True):
    change: Change
    received: Part | None
    sent: Part | None
    members: tuple[ComparedMember, ...] = ()
    """those that are not the same"""


def compare_members(
    received: Mapping[str, Any], sent: Mapping[str, Any], losses: Collection[Loss] = ()
) -> list[ComparedMember]:
    """Those of the received request in their order, then the added ones."""
    reasons = {loss.field: loss.why for loss in losses}
    found = [_compared(name, value, sent, reasons) for name, value in received.items()]
    added = [ComparedMember(name, "added", sent=sent[name]) for name in sent if name not in received]
    return found + added


def _compared(
    name: str, value: object, sent: Mapping[str, Any], reasons: Mapping[str, str]
) -> ComparedMember:
    if name not in sent:
        return ComparedMember(name, "dropped", value, why=reasons.get(name, ""))
    change: Change = "same" if sent[name] == value else "changed"
    return ComparedMember(name, change, value, sent[name])


def compare_fields(
    received: ReadableRequest,
    sent: ReadableRequest,
    protocols: tuple[ProtocolName, ProtocolName],
    losses: Collection[Loss],
) -> list[ComparedMember]:
    """As `compare_members`; what both protocols name differently is one row."""
    found = compare_members(received.fields, sent.fields, losses)
    added = {one.name: one for one in found if one.change == "added"}
    compared: list[ComparedMember] = []
    for one in found:
        if one.change == "dropped" and (other := _twin(one.name, added, protocols)):
            value = added.pop(other).sent
            compared.append(ComparedMember(one.name, "renamed", one.received, value, sent_as=other))
        elif one.change != "added" or one.name in added:
            compared.append(one)
    return compared


def _twin(name: str, added: Collection[str], protocols: tuple[ProtocolName, ProtocolName]) -> str:
    """The added member that stands for the same as this one; "" if there is none."""
    meant = neutral_parts(protocols[0], name)
    return next((other for other in added if meant & neutral_parts(protocols[1], other)), "")


def compare_parts(received: Sequence[Part], sent: Sequence[Part]) -> list[ComparedPart]:
    """In the order of the conversation."""
    compared: list[ComparedPart] = []
    before: Part | None = None
    for one, other in _aligned(received, sent):
        compared.append(_compared_part(one, other, before))
        before = other or before
    return compared


Pair = tuple[Part | None, Part | None]


def _compared_part(received: Part | None, sent: Part | None, before: Part | None) -> ComparedPart:
    """`before`: the part that was sent last."""
    if received is None:
        return ComparedPart("added", None, sent)
    if sent is None:
        return ComparedPart(
            "joined" if before and _is_within(received, before) else "dropped", received, None
        )
    members = [one for one in compare_members(received.members, sent.members) if one.change != "same"]
    is_same = _key(received) == _key(sent) and not members
    return ComparedPart("same" if is_same else "changed", received, sent, tuple(members))


def _is_within(part: Part, longer: Part) -> bool:
    """Several texts of one role are often sent as one."""
    is_text = part.kind == longer.kind == "text" and part.role == longer.role
    return is_text and 0 < len(part.text) < len(longer.text) and part.text in longer.text


def _key(part: Part) -> tuple[str, str, str, str]:
    return (part.role, part.kind, part.name, part.text)


def _aligned(received: Sequence[Part], sent: Sequence[Part]) -> Iterator[Pair]:
    """Pairs of what belongs together. Most of a long conversation is the same at both ends."""
    first, second = [_key(part) for part in received], [_key(part) for part in sent]
    shorter = min(len(first), len(second))
    begin = next((at for at in range(shorter) if first[at] != second[at]), shorter)
    most = shorter - begin
    end = next((back for back in range(most) if first[-1 - back] != second[-1 - back]), most)
    yield from zip(received[:begin], sent[:begin], strict=True)
    middle, other = received[begin : len(received) - end], sent[begin : len(sent) - end]
    if len(middle) * len(other) > MAX_COMPARED:
        yield from _in_order(middle, other)
    else:
        yield from _matched(middle, other)
    yield from zip(received[len(received) - end :], sent[len(sent) - end :], strict=True)


def _matched(received: Sequence[Part], sent: Sequence[Part]) -> Iterator[Pair]:
    matcher = SequenceMatcher(
        None, [_key(part) for part in received], [_key(part) for part in sent], autojunk=False
    )
    for tag, from_, to, other_from, other_to in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(received[from_:to], sent[other_from:other_to], strict=True)
        else:
            yield from _in_order(received[from_:to], sent[other_from:other_to])


def _in_order(received: Sequence[Part], sent: Sequence[Part]) -> Iterator[Pair]:
    """Each with the next one of its kind."""
    place = 0
    for part in received:
        near = range(place, min(place + MAX_DISTANCE, len(sent)))
        found = next((at for at in near if _kind_of(sent[at]) == _kind_of(part)), None)
        if found is None:
            yield part, None
            continue
        yield from ((None, one) for one in sent[place:found])
        yield part, sent[found]
        place = found + 1
    yield from ((None, one) for one in sent[place:])


def _kind_of(part: Part) -> tuple[str, str, str]:
    return (part.role, part.kind, part.name)

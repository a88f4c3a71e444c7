"""Return what an upstream puts beside its calls with those calls, and to no other upstream, where Chat passes through.

A client may keep these members or drop them; only their issuer wants them back, and refuses a call without them.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from switchyard.protocols import neutral
from switchyard.protocols.openai_chat import wire
from switchyard.protocols.openai_chat.calls import OPAQUE_MEMBERS, Call, Calls, fragments_of
from switchyard.protocols.wire import UNREADABLE, Json, entries, fields, json_text, parsed_object, text

SIGNS = tuple(f'"{name}"'.encode() for name in OPAQUE_MEMBERS)
ID = re.compile(rb'"id"\s*:\s*"((?:[^"\\]|\\.)*)"')

Find = Callable[[str, str], neutral.Signature | None]
"""What is known of a call with this id and name."""


def mentions_opaque(data: bytes) -> bool:
    """True if such a member may be in there."""
    for sign in SIGNS:
        if data.find(sign) >= 0:
            return True
    return False


def signed_calls(calls: Iterable[Call], issuer: str) -> list[neutral.ToolCall]:
    """Those of the calls that their issuer wants back with what it has put beside them."""
    return [
        neutral.ToolCall(call.id, call.name, "", signature=neutral.Signature(json_text(call.opaque), issuer))
        for call in calls
        if call.id and call.name and call.opaque
    ]


def signed_calls_in(reply: bytes, issuer: str) -> list[neutral.ToolCall]:
    """The same of a whole reply."""
    if not mentions_opaque(reply):
        return []
    try:
        choice = wire.first_choice(wire.read_chunk(reply))
    except UNREADABLE:
        return []
    message = None if choice is None else choice.message
    found = [] if message is None else [call for call, _ in Calls().listed(fragments_of(message))]
    return signed_calls(found, issuer)


def ids_in(body: bytes) -> set[str]:
    """All ids that are spelled in this request without escapes."""
    return {id.decode("utf-8", "replace") for id in ID.findall(body)}


def with_own_members(body: Json, find: Find, issuer: str) -> list[Any] | None:
    """The messages, each call with what this upstream has put beside it, and without what another one has.

    None if that changes nothing. What nobody knows stays as the client sends it.
    """
    old = entries(body.get("messages"))
    new = [_message(message, find, issuer) for message in old]
    return None if all(one is other for one, other in zip(old, new, strict=True)) else new


def _message(message: Any, find: Find, issuer: str) -> Any:
    calls = entries(fields(message).get("tool_calls"))
    own = [_call(call, find, issuer) for call in calls]
    if all(one is other for one, other in zip(calls, own, strict=True)):
        return message
    return {**message, "tool_calls": own}


def _call(call: Any, find: Find, issuer: str) -> Any:
    called = fields(fields(call).get("function")) or fields(fields(call).get("custom"))
    signature = find(text(fields(call).get("id")), text(called.get("name")))
    if signature is None:
        return call
    members = parsed_object(signature.payload) if signature.issuer == issuer else {}
    bare = {name: value for name, value in call.items() if name not in OPAQUE_MEMBERS}
    own = {**bare, **members}
    return call if own == call else own

"""The few fields of a client's request that routing needs, decoded without the rest."""

import re
from typing import Any

import msgspec

from switchyard.protocols.client_program import ClientProgram, program_of
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.known_history import members_along
from switchyard.protocols.large_request import Seen, seen_at_once
from switchyard.protocols.message_memory import Beginning, MessageMemory
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.peek import ABSENT, Members, watched_members
from switchyard.protocols.sessions import session_in_headers, session_in_user_id, thread_in_headers
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.wire import fields, text

MAX_SESSION_CHARS = 200
MAX_MODEL_CHARS = 500
MAX_VALUE_BYTES = 16 * 1024
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
DIGITS = re.compile(rb"[0-9]{1,12}")


class RequestSummary(msgspec.Struct, frozen=True):
    model: str
    stream: bool
    session: str
    wants_usage: bool
    """a Chat client with `stream_options.include_usage`"""
    max_tokens: int | None = None
    """the longest answer that the client wants"""
    thread: str = ""
    """the sub-agent that sends it; "" for the conversation itself"""
    program: ClientProgram = ClientProgram.OTHER
    """the program that sends it"""
    members: Members = Members()
    """the watched members as they stand in the body, each only a view of it: a client may put megabytes into any"""
    beginning: Beginning | None = None
    """the known part of the history of this very body"""
    seen: Seen | None = None
    """what was seen of this very body together with its `members`"""

    def seen_in(self, body: bytes) -> Seen | None:
        """What was seen, unless that was in another body."""
        return self.seen if self.seen is not None and self.seen.body is body else None


TOO_LONG = f"model: longer than {MAX_MODEL_CHARS} characters"

_decode_value = msgspec.json.Decoder().decode


def read_request(
    protocol: ProtocolName, body: bytes, headers: dict[str, str], memory: MessageMemory | None = None
) -> tuple[bytes, RequestSummary]:
    """The body and what it wants. Raises BadRequest with one sentence that names the field.

    Clients cut texts in the middle of a character, and JavaScript encodes its half as an escape that no decoder takes:
    it is replaced, as the conversation could never go on otherwise.
    """
    try:
        return body, read_request_summary(protocol, body, headers, memory)
    except BadRequest:
        whole = without_halves(body)
        if whole == body:
            raise
    return whole, read_request_summary(protocol, whole, headers, memory)


def read_request_summary(
    protocol: ProtocolName, body: bytes, headers: dict[str, str], memory: MessageMemory | None = None
) -> RequestSummary:
    """What the request wants. Raises BadRequest with one sentence that names the field."""
    along = None if memory is None else members_along(protocol, body, memory)
    at_once = seen_at_once(protocol, body) if along is None else None
    try:
        members, beginning = along or (at_once[0] if at_once else watched_members(body), None)
        if len(members.model) > MAX_VALUE_BYTES:
            raise BadRequest(TOO_LONG, "model")
        model, stream, options = map(_value, (members.model, members.stream, members.stream_options))
        session = _session(protocol, members, headers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the request body is not a JSON object: {_shortened(error)}") from None
    if model is None or model == "":
        raise BadRequest("model: field required; name the model to use", "model")
    if not isinstance(model, str):
        raise BadRequest("model: expected a string", "model")
    if len(model) > MAX_MODEL_CHARS:
        raise BadRequest(TOO_LONG, "model")
    if not isinstance(stream, bool | None):
        raise BadRequest("stream: expected true or false", "stream")
    return RequestSummary(
        model=model,
        stream=bool(stream),
        session=session[:MAX_SESSION_CHARS],
        wants_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        max_tokens=_longest_answer(members),
        thread=thread_in_headers(headers)[:MAX_SESSION_CHARS],
        program=program_of(protocol, headers),
        members=members,
        beginning=beginning,
        seen=at_once[1] if at_once else None,
    )


def _value(raw: msgspec.Raw) -> Any:
    """What the member holds; one that is too large for its place means nothing."""
    if raw is ABSENT:
        return None
    return _decode_value(raw) if len(raw) <= MAX_VALUE_BYTES else ()


def _longest_answer(members: Members) -> int | None:
    """The first of its fields that is a whole number."""
    for name in LIMITS:
        raw = getattr(members, name)
        if raw is not ABSENT and DIGITS.fullmatch(raw):
            return int(bytes(raw))
    return None


def _shortened(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")[:120]


def _session(protocol: ProtocolName, members: Members, headers: dict[str, str]) -> str:
    """The id of the conversation, wherever the client puts it; "" if nowhere."""
    if named := session_in_headers(headers):
        return named
    if protocol == "messages":
        return session_in_user_id(fields(_value(members.metadata)).get("user_id"))
    return text(_value(members.prompt_cache_key))

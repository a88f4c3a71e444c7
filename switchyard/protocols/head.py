"""The few fields of a client's request that routing needs, read without decoding the rest."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from switchyard.protocols.codec import BadRequest
from switchyard.protocols.names import ProtocolName

SESSION_IN_USER_ID = re.compile(r"session_([0-9a-fA-F-]{8,64})\Z")
MAX_SESSION_CHARS = 200
MAX_MODEL_CHARS = 500


@dataclass(frozen=True, slots=True)
class Head:
    model: str
    stream: bool
    session: str
    wants_usage: bool
    """a Chat client that asked for `stream_options.include_usage`"""
    has_stream_options: bool


class _Wire(msgspec.Struct):
    model: Any = None
    stream: Any = None
    metadata: Any = None
    prompt_cache_key: Any = None
    stream_options: Any = None


_decode = msgspec.json.Decoder(_Wire).decode


def read_head(protocol: ProtocolName, body: bytes, headers: dict[str, str]) -> Head:
    """What the request asks for. Raises BadRequest with one sentence that names the field."""
    try:
        wire = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the request body is not a JSON object: {_shortened(error)}") from None
    if wire.model is None or wire.model == "":
        raise BadRequest("model: field required; name the model to use", "model")
    if not isinstance(wire.model, str):
        raise BadRequest("model: expected a string", "model")
    if len(wire.model) > MAX_MODEL_CHARS:
        raise BadRequest(f"model: longer than {MAX_MODEL_CHARS} characters", "model")
    if not isinstance(wire.stream, bool | None):
        raise BadRequest("stream: expected true or false", "stream")
    options = wire.stream_options if isinstance(wire.stream_options, dict) else {}
    return Head(
        model=wire.model,
        stream=bool(wire.stream),
        session=_session(protocol, wire, headers)[:MAX_SESSION_CHARS],
        wants_usage=bool(options.get("include_usage")),
        has_stream_options=wire.stream_options is not None,
    )


def _shortened(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")[:120]


def _session(protocol: ProtocolName, wire: _Wire, headers: dict[str, str]) -> str:
    """The id of the conversation, wherever the client puts it; "" if nowhere."""
    for name in ("x-claude-code-session-id", "session-id", "session_id"):
        if headers.get(name):
            return headers[name]
    if protocol == "messages" and isinstance(wire.metadata, dict):
        return _session_of_user_id(wire.metadata.get("user_id"))
    return wire.prompt_cache_key if isinstance(wire.prompt_cache_key, str) else ""


def _session_of_user_id(user_id: Any) -> str:
    """Claude Code: a JSON string with `session_id`, in older versions `user_..._session_<uuid>`."""
    if not isinstance(user_id, str):
        return ""
    if user_id.startswith("{"):
        try:
            found = msgspec.json.decode(user_id)
        except (msgspec.DecodeError, RecursionError):
            return ""
        session = found.get("session_id") if isinstance(found, dict) else None
        return session if isinstance(session, str) else ""
    tail = SESSION_IN_USER_ID.search(user_id)
    return tail[1] if tail else ""

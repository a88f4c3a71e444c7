"""The few fields of a client's request that routing needs, read without decoding the rest."""

from typing import Any

import msgspec

from switchyard.protocols.codec import BadRequest
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.sessions import session_in_headers, session_in_user_id
from switchyard.protocols.wire import fields, text

MAX_SESSION_CHARS = 200
MAX_MODEL_CHARS = 500
MAX_VALUE_BYTES = 16 * 1024


class RequestSummary(msgspec.Struct, frozen=True):
    model: str
    stream: bool
    session: str
    wants_usage: bool
    """a Chat client that asked for `stream_options.include_usage`"""
    has_stream_options: bool


TOO_LONG = f"model: longer than {MAX_MODEL_CHARS} characters"
NOTHING = msgspec.Raw(b"null")


class _Wire(msgspec.Struct):
    """Each as it stands there: a client may put megabytes of empty lists into any of them."""

    model: msgspec.Raw = NOTHING
    stream: msgspec.Raw = NOTHING
    metadata: msgspec.Raw = NOTHING
    prompt_cache_key: msgspec.Raw = NOTHING
    stream_options: msgspec.Raw = NOTHING


_decode = msgspec.json.Decoder(_Wire).decode
_decode_value = msgspec.json.Decoder().decode


def read_request_summary(protocol: ProtocolName, body: bytes, headers: dict[str, str]) -> RequestSummary:
    """What the request asks for. Raises BadRequest with one sentence that names the field."""
    try:
        wire = _decode(body)
        if len(wire.model) > MAX_VALUE_BYTES:
            raise BadRequest(TOO_LONG, "model")
        model, stream = _read(wire.model), _read(wire.stream)
        options, session = _read(wire.stream_options), _session(protocol, wire, headers)
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
        has_stream_options=options is not None,
    )


def _read(raw: msgspec.Raw) -> Any:
    """The value; one that is too large for its place tells nothing."""
    if raw is NOTHING:
        return None
    return _decode_value(raw) if len(raw) <= MAX_VALUE_BYTES else ()


def _shortened(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")[:120]


def _session(protocol: ProtocolName, wire: _Wire, headers: dict[str, str]) -> str:
    """The id of the conversation, wherever the client puts it; "" if nowhere."""
    if named := session_in_headers(headers):
        return named
    if protocol == "messages":
        return session_in_user_id(fields(_read(wire.metadata)).get("user_id"))
    return text(_read(wire.prompt_cache_key))

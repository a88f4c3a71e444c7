"""The Responses protocol, filled in.

https://platform.openai.com/docs/api-reference/responses
"""

from functools import partial
from typing import Any

import msgspec

from switchyard.protocols import sse
from switchyard.protocols.codec import Codec
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.errors.table import encode_error, failure
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import Request, WireError
from switchyard.protocols.openai_responses.decode_request import decode_request
from switchyard.protocols.openai_responses.decode_stream import StreamDecoder, decode_response
from switchyard.protocols.openai_responses.encode_request import encode_request
from switchyard.protocols.openai_responses.encode_stream import StreamEncoder, encode_response
from switchyard.protocols.openai_responses.skeleton import response_object, skeleton

KEEP_ALIVE = sse.encode(b'{"type":"keepalive","sequence_number":0}', "keepalive")
"""Codex is only kept waiting by events, not by comments; an event of no response fits between any two."""


class _Named(msgspec.Struct):
    id: str


class _Opening(msgspec.Struct):
    response: _Named


def encode_break(error: WireError, opening: bytes = b"") -> bytes:
    """Codex passes over any other end of a failed stream.

    The stream helpers of the SDKs take a failure only of the response that the stream was opened with.
    """
    base = skeleton(Request("", ()), _reported_id(opening) or new_id("resp_"))
    failed = _record("response.failed", response_object(base, "failed", [], error=failure(error)), 1)
    return (
        failed
        if opening
        else _record("response.created", response_object(base, "in_progress", []), 0) + failed
    )


def _reported_id(opening: bytes) -> str:
    for record in sse.SseDecoder().feed(opening):
        try:
            return msgspec.json.decode(record.data, type=_Opening).response.id
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return ""


def _record(type: str, response: dict[str, Any], sequence_number: int) -> bytes:
    record = {"type": type, "response": response, "sequence_number": sequence_number}
    return sse.encode(msgspec.json.encode(record), type)


CODEC = Codec(
    protocol="responses",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=StreamDecoder,
    stream_encoder=StreamEncoder,
    decode_error=decode_error,
    encode_error=partial(encode_error, "responses"),
    encode_break=encode_break,
    keep_alive=KEEP_ALIVE,
)

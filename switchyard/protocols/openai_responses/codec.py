"""The Responses protocol, filled in.

https://platform.openai.com/docs/api-reference/responses
"""

import msgspec

from switchyard.protocols import sse
from switchyard.protocols.codec import Codec
from switchyard.protocols.errors import read_error
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import Request, WireError
from switchyard.protocols.openai_responses.errors import encode_error, failure
from switchyard.protocols.openai_responses.repair import repair_request
from switchyard.protocols.openai_responses.request import decode_request, encode_request
from switchyard.protocols.openai_responses.response import decode_response, encode_response
from switchyard.protocols.openai_responses.skeleton import response_object, skeleton
from switchyard.protocols.openai_responses.stream_decoder import StreamDecoder
from switchyard.protocols.openai_responses.stream_encoder import StreamEncoder
from switchyard.protocols.openai_responses.watch import NOTABLE, glance, glance_whole, only_deltas

KEEP_ALIVE = sse.encode(b'{"type":"keepalive","sequence_number":0}', "keepalive")
"""Codex is only kept waiting by events, and no event that names a response may come before the upstream's."""


def encode_break(error: WireError) -> bytes:
    """Codex passes over any other end of a failed stream."""
    failed = response_object(skeleton(Request("", ()), new_id("resp_")), "failed", [], error=failure(error))
    record = {"type": "response.failed", "response": failed, "sequence_number": 0}
    return sse.encode(msgspec.json.encode(record), "response.failed")


CODEC = Codec(
    protocol="responses",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=StreamDecoder,
    stream_encoder=StreamEncoder,
    decode_error=read_error,
    encode_error=encode_error,
    encode_break=encode_break,
    keep_alive=KEEP_ALIVE,
    glance=glance,
    glance_whole=glance_whole,
    notable=NOTABLE,
    only_deltas=only_deltas,
    repair_request=repair_request,
)

"""Read an upstream's whole JSON reply; write the client's.

https://platform.openai.com/docs/api-reference/responses/object
"""

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors.table import broken_answer
from switchyard.protocols.fold import unfold
from switchyard.protocols.openai_responses.stream_decoder import StreamDecoder
from switchyard.protocols.openai_responses.stream_encoder import StreamEncoder


def decode_response(body: bytes, sent: SentRequest) -> list[neutral.Event]:
    """The reply as the same walk as a stream."""
    try:
        response = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        response = None
    if not isinstance(response, dict):
        message = "the upstream's reply is not a JSON object"
        return [neutral.Started(), neutral.Failed(broken_answer(message))]
    return StreamDecoder(sent).decode_whole(response)


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The reply as one JSON body: the response object that a stream of it would end with."""
    encoder = StreamEncoder(request)
    for event in unfold(response):
        encoder.encode(event)
    return msgspec.json.encode(encoder.final)

"""Write a whole Responses reply.

https://platform.openai.com/docs/api-reference/responses/object
"""

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.fold import unfold
from switchyard.protocols.openai_responses.encode_stream import StreamEncoder


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The reply as one JSON body: the response object that a stream of it would end with."""
    encoder = StreamEncoder(request)
    for event in unfold(response):
        encoder.encode(event)
    return msgspec.json.encode(encoder.final)

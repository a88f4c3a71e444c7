"""The Responses codec, filled in."""

from switchyard.protocols.codec import Codec
from switchyard.protocols.openai_responses.decode_request import decode_request
from switchyard.protocols.openai_responses.decode_stream import StreamDecoder, decode_response
from switchyard.protocols.openai_responses.encode_request import encode_request
from switchyard.protocols.openai_responses.encode_stream import (
    KEEP_ALIVE,
    StreamEncoder,
    encode_break,
    encode_response,
)

CODEC = Codec(
    protocol="responses",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=StreamDecoder,
    stream_encoder=StreamEncoder,
    encode_break=encode_break,
    keep_alive=KEEP_ALIVE,
)

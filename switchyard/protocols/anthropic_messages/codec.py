"""The Messages codec, filled in."""

from functools import partial

from switchyard.protocols.anthropic_messages.decode_request import decode_request
from switchyard.protocols.anthropic_messages.decode_stream import StreamDecoder, decode_response
from switchyard.protocols.anthropic_messages.encode_request import encode_request
from switchyard.protocols.anthropic_messages.encode_stream import PING, StreamEncoder, encode_response
from switchyard.protocols.codec import Codec
from switchyard.protocols.errors.table import error_record

CODEC = Codec(
    protocol="messages",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=StreamDecoder,
    stream_encoder=StreamEncoder,
    encode_break=partial(error_record, "messages"),
    keep_alive=PING,
)

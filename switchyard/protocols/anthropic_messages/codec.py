"""The Messages codec, filled in."""

from functools import partial

from switchyard.protocols.anthropic_messages import (
    decode_request,
    decode_stream,
    encode_request,
    encode_stream,
)
from switchyard.protocols.codec import Codec
from switchyard.protocols.errors.table import error_record

CODEC = Codec(
    protocol="messages",
    decode_request=decode_request.decode_request,
    encode_request=encode_request.encode_request,
    decode_response=decode_stream.decode_response,
    encode_response=encode_stream.encode_response,
    stream_decoder=decode_stream.StreamDecoder,
    stream_encoder=encode_stream.StreamEncoder,
    encode_break=partial(error_record, "messages"),
    keep_alive=encode_stream.PING,
)

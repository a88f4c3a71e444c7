"""The Responses codec, filled in."""

from switchyard.protocols.codec import Codec
from switchyard.protocols.openai_responses import decode_request, decode_stream, encode_request, encode_stream

CODEC = Codec(
    protocol="responses",
    decode_request=decode_request.decode_request,
    encode_request=encode_request.encode_request,
    decode_response=decode_stream.decode_response,
    encode_response=encode_stream.encode_response,
    stream_decoder=decode_stream.StreamDecoder,
    stream_encoder=encode_stream.StreamEncoder,
    encode_break=encode_stream.encode_break,
    keep_alive=encode_stream.KEEP_ALIVE,
)

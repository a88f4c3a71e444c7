"""OpenAI Chat Completions as a codec."""

from functools import partial

from switchyard.protocols.codec import Codec
from switchyard.protocols.errors.table import error_record
from switchyard.protocols.openai_chat.decode_request import decode_request
from switchyard.protocols.openai_chat.decode_stream import StreamDecoder, decode_response
from switchyard.protocols.openai_chat.encode_request import encode_request
from switchyard.protocols.openai_chat.encode_stream import KEEP_ALIVE, StreamEncoder, encode_response

CODEC = Codec(
    protocol="chat",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    stream_decoder=StreamDecoder,
    stream_encoder=StreamEncoder,
    encode_break=partial(error_record, "chat"),
    keep_alive=KEEP_ALIVE,
)

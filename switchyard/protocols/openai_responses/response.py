"""Read an upstream's whole JSON reply; write the client's.

https://platform.openai.com/docs/api-reference/responses/object
"""

from collections.abc import Iterator

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest
from switchyard.protocols.errors import TYPE_STATUSES
from switchyard.protocols.neutral import ErrorType, WireError
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
        error = WireError(ErrorType.SERVER, message, TYPE_STATUSES[ErrorType.SERVER])
        return [neutral.Started(), neutral.Failed(error)]
    return StreamDecoder(sent).decode_whole(response)


def encode_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """The reply as one JSON body: the response object that a stream of it would end with."""
    encoder = StreamEncoder(request)
    for event in _walk(response):
        encoder.encode(event)
    return msgspec.json.encode(encoder.final)


def _walk(response: neutral.Response) -> Iterator[neutral.Event]:
    yield neutral.Started(response.id, response.model)
    for position, block in enumerate(response.content):
        yield from _block_walk(block, response.citations.get(position, ()), response.incomplete)
    yield neutral.Finished(response.stop_reason, response.usage, response.stop_sequence)


def _block_walk(
    block: neutral.Block, citations: tuple[neutral.Citation, ...], incomplete: frozenset[str]
) -> Iterator[neutral.Event]:
    match block:
        case neutral.Text(text) | neutral.Refusal(text):
            yield neutral.BlockStarted(type(block)(""))
            yield neutral.Delta(text)
            yield from citations
            yield neutral.BlockEnded()
        case neutral.Thinking(text, signature, redacted):
            yield neutral.BlockStarted(neutral.Thinking("", redacted=redacted))
            yield neutral.Delta(text)
            yield neutral.BlockEnded(signature)
        case neutral.ToolCall(id, name, arguments, kind, namespace):
            yield neutral.BlockStarted(neutral.ToolCall(id, name, "", kind, namespace))
            yield neutral.Delta(arguments)
            yield neutral.BlockEnded(complete=id not in incomplete)
        case neutral.WebSearch() | neutral.Compaction():
            yield neutral.BlockStarted(block)
            yield neutral.BlockEnded()

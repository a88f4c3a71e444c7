"""Read answers for people: what a stream or a whole reply says, as far as it goes."""

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import Codec, SentRequest, Target
from switchyard.protocols.readable import Part, PartKind, shown_json
from switchyard.protocols.sse import RecordTooLarge, SseDecoder
from switchyard.protocols.wire import UNREADABLE, parsed


class ReadableAnswer(msgspec.Struct, frozen=True):
    """`error` is the answer's own error, or that it breaks off; `stop` the neutral stop reason."""

    parts: tuple[Part, ...]
    error: str = ""
    stop: str = ""


def readable_answer(codec: Codec, body: bytes, *, is_stream: bool) -> ReadableAnswer:
    sent = SentRequest(b"", Target("", ""))
    try:
        events = _streamed(codec, body, sent) if is_stream else codec.decode_response(body, sent)
    except (*UNREADABLE, RecordTooLarge) as unreadable:
        return ReadableAnswer((), str(unreadable) or type(unreadable).__name__)
    begun: list[tuple[PartKind, str, list[str]]] = []
    error = stop = ""
    for event in events:
        match event:
            case neutral.BlockStarted(block):
                begun.append(_begun(block))
            case neutral.Delta(added) if begun:
                begun[-1][2].append(added)
            case neutral.Finished():
                stop = str(event.stop_reason)
            case neutral.Failed(failed):
                error = failed.message
    return ReadableAnswer(tuple(_part(*one) for one in begun), error, stop)


def _streamed(codec: Codec, body: bytes, sent: SentRequest) -> list[neutral.Event]:
    records, decoder = SseDecoder(), codec.stream_decoder(sent)
    found = [event for record in (*records.feed(body), *records.close()) for event in decoder.decode(record)]
    return [*found, *decoder.close()]


def _begun(block: neutral.AnswerBlock) -> tuple[PartKind, str, list[str]]:
    """Its kind, its name, and the beginning of its text."""
    match block:
        case neutral.Thinking(said):
            return "thinking", "", [said]
        case neutral.ToolCall():
            return "call", block.name, [block.arguments]
        case neutral.WebSearch():
            return "other", "web_search", [block.query or block.error]
        case neutral.Compaction():
            return "other", "compaction", []
        case neutral.Text(said) | neutral.Refusal(said):
            return "text", "", [said]


def _part(kind: PartKind, name: str, pieces: list[str]) -> Part:
    said = "".join(pieces)
    value = parsed(said) if kind == "call" else None
    return Part("assistant", kind, said if value is None else shown_json(value), name)

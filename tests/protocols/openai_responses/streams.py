"""Build streams of an upstream and read them as a neutral walk, at any chunk size."""

from typing import Any

import msgspec

from switchyard.protocols import neutral, sse
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.openai_responses.decode_stream import StreamDecoder

CHUNK_SIZES = (1, 7, 64, 1_000_000)

ISSUER = "upstream-1"


def sent(**tools: neutral.Tool) -> SentRequest:
    return SentRequest(b"", Target("m", ISSUER), tools)


def event(type: str, **fields: Any) -> bytes:
    return sse.encode(msgspec.json.encode({"type": type, **fields}), type)


def created(id: str = "resp_1", model: str = "m") -> bytes:
    return event(
        "response.created", response={"id": id, "model": model, "status": "in_progress", "output": []}
    )


def added(index: int, **item: Any) -> bytes:
    return event("response.output_item.added", output_index=index, item=item)


def done(index: int, **item: Any) -> bytes:
    return event("response.output_item.done", output_index=index, item=item)


def said(index: int, delta: str) -> bytes:
    return event("response.output_text.delta", output_index=index, content_index=0, delta=delta)


def arguments(index: int, delta: str) -> bytes:
    return event("response.function_call_arguments.delta", output_index=index, delta=delta)


def ended(status: str = "completed", output: Any = (), usage: Any = None, **fields: Any) -> bytes:
    response = {"id": "resp_1", "status": status, "output": list(output), "usage": usage, **fields}
    return event(f"response.{status}", response=response)


def call(id: str = "a", name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name, **fields}


def message(*texts: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content, **fields}


def decoded(stream: bytes, request: SentRequest | None = None, chunk_size: int = 64) -> list[neutral.Event]:
    """What the decoder makes of the stream, joined deltas, the walk checked."""
    parser, decoder = sse.SseDecoder(), StreamDecoder(request or sent())
    events: list[neutral.Event] = []
    for start in range(0, len(stream), chunk_size):
        for record in parser.feed(stream[start : start + chunk_size]):
            events += decoder.decode(record)
    for record in parser.close():
        events += decoder.decode(record)
    events += decoder.close()
    check_walk(events)
    return joined(events)


def check_walk(events: list[neutral.Event]) -> None:
    is_open = False
    assert isinstance(events[0], neutral.Started)
    assert isinstance(events[-1], neutral.Finished | neutral.Failed)
    for one in events[1:-1]:
        match one:
            case neutral.BlockStarted():
                assert not is_open
                is_open = True
            case neutral.Delta() | neutral.Citation():
                assert is_open
            case neutral.BlockEnded():
                assert is_open
                is_open = False
            case _:
                raise AssertionError(f"{one} in the middle")
    assert not is_open


def joined(events: list[neutral.Event]) -> list[neutral.Event]:
    whole: list[neutral.Event] = []
    for one in events:
        if isinstance(one, neutral.Delta) and isinstance(whole[-1], neutral.Delta):
            whole[-1] = neutral.Delta(whole[-1].text + one.text)
        else:
            whole.append(one)
    return whole


def blocks(events: list[neutral.Event]) -> list[Any]:
    """The walk in short: (start, text, end) of each block, then the last event."""
    short: list[Any] = []
    for one in events[1:-1]:
        match one:
            case neutral.BlockStarted(block):
                short.append((block, "", None))
            case neutral.Delta(words):
                short[-1] = (short[-1][0], short[-1][1] + words, None)
            case neutral.BlockEnded():
                short[-1] = (*short[-1][:2], one)
    return short

"""Write the streams of Chat upstreams tersely, and read the events they become."""

from collections.abc import Iterable
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.openai_chat.decode_stream import StreamDecoder
from switchyard.protocols.sse import SseDecoder

DONE = b"data: [DONE]\n\n"
SIZES = (1, 2, 7, 100, 1_000_000)


def record(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def choice(**fields: Any) -> bytes:
    return record({"id": "c1", "model": "m", "choices": [{"index": 0, **fields}]})


def delta(**fields: Any) -> bytes:
    return choice(delta=fields)


def text(content: str) -> bytes:
    return delta(content=content)


def call(index: int | None, id: str | None = None, name: str | None = None, arguments: Any = None) -> bytes:
    """One fragment of a tool call; what is None is absent."""
    return delta(tool_calls=[fragment(index, id, name, arguments)])


def fragment(index: int | None, id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    reported = {"index": index, "id": id, "type": "function"}
    return {
        **{key: value for key, value in reported.items() if value is not None},
        "function": {key: value for key, value in function.items() if value is not None},
    }


def finish(reason: str, **fields: Any) -> bytes:
    return choice(delta={}, finish_reason=reason, **fields)


def usage(prompt: int, cached: int, completion: int) -> bytes:
    return record({"id": "c1", "model": "m", "choices": [], "usage": counts(prompt, cached, completion)})


def counts(prompt: int, cached: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def sent(
    capabilities: Capabilities | None = None,
    tools: dict[str, neutral.Tool] | None = None,
    body: bytes = b"{}",
) -> SentRequest:
    return SentRequest(body, Target("m", "issuer", capabilities or Capabilities()), tools or {})


def events_of(
    stream: bytes, request: SentRequest | None = None, size: int = 1_000_000
) -> list[neutral.Event]:
    """What a decoder makes of the stream when it comes in pieces of that size."""
    sse, decoder = SseDecoder(), StreamDecoder(request or sent())
    events: list[neutral.Event] = []
    for start in range(0, len(stream), size):
        for taken in sse.feed(stream[start : start + size]):
            events += decoder.decode(taken)
    for taken in sse.close():
        events += decoder.decode(taken)
    return events + decoder.close()


def script(events: Iterable[neutral.Event]) -> list[str]:
    """The walk in one word each: `+` opens a block, `-` ends it, `=` finishes, `!` fails."""
    return [_word(event) for event in events if not isinstance(event, neutral.Started)]


def _word(event: neutral.Event) -> str:
    match event:
        case neutral.BlockStarted(neutral.ToolCall() as tool):
            return f"+{tool.kind} {tool.id} {tool.name}"
        case neutral.BlockStarted(block):
            return f"+{type(block).__name__.lower()}"
        case neutral.Delta(said):
            return said
        case neutral.BlockEnded(complete=complete):
            return "-" if complete else "- cut"
        case neutral.Finished(reason, _, sequence):
            return f"= {reason.value}" + (f" {sequence}" if sequence else "")
        case neutral.Failed(error):
            return f"! {error.message}"
        case neutral.Citation(url):
            return f"@ {url}"
    raise AssertionError(event)


def check_walk(events: list[neutral.Event]) -> None:
    """Started block* (Finished | Failed), with block = BlockStarted Delta* BlockEnded."""
    assert isinstance(events[0], neutral.Started)
    assert isinstance(events[-1], neutral.Finished | neutral.Failed)
    is_open = False
    for event in events[1:-1]:
        match event:
            case neutral.BlockStarted():
                assert not is_open, "two blocks are open"
                is_open = True
            case neutral.BlockEnded():
                assert is_open, "no block to end"
                is_open = False
            case neutral.Delta(said):
                assert is_open and said, "a delta outside of a block, or an empty one"
            case neutral.Citation():
                assert is_open
            case _:
                raise AssertionError(f"{event} in the middle")
    assert not is_open, "the last block is not ended"

"""The defects that converters of this kind are known for, each as a stream that brings it out, told to every client.

D.. is the number in the catalogue of known defects, S.. the number of a situation that every converter must master.
What the official SDKs make of a stream is what counts, whatever the pieces it arrived in; the structure of every
emitted stream is checked besides.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import StreamConversion, convert_request, convert_response
from switchyard.protocols.fold import fold
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import ErrorType, StopReason
from switchyard.protocols.sse import Record
from tests.protocols.anthropic_messages.script import MST, PING, args, bd, be, bs, md, ms, sig, thought
from tests.protocols.anthropic_messages.script import record as event
from tests.protocols.openai_chat import chunks as c
from tests.protocols.openai_responses import streams as r
from tests.protocols.sdks import Said, parsed, said_to
from tests.protocols.validators import (
    check_chat_stream,
    check_messages_stream,
    check_responses_stream,
    records_of,
)

SIZES = (1, 7, 100, 1_000_000)
CHECKS: dict[ProtocolName, Callable[[Iterable[Record]], None]] = {
    "messages": check_messages_stream,
    "chat": lambda records: check_chat_stream(records, include_usage=True),
    "responses": check_responses_stream,
}
TOOLS = (
    neutral.Tool("f", "F.", {"type": "object", "properties": {}}),
    neutral.Tool("g", "G.", {"type": "object", "properties": {}}),
)
PATCH = neutral.Tool("apply_patch", "Patches.", kind="custom", grammar=("lark", "start: x"))


@dataclass(frozen=True)
class Case:
    """A stream, and what a program must be told of it. `stop` None: it breaks, in these words."""

    stream: bytes
    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    stop: StopReason | None = StopReason.END_TURN
    sequence: str | None = None
    usage: tuple[int, int, int] | None = None
    broke: str = ""
    error: ErrorType = ErrorType.SERVER
    refused_in_words: bool = False
    capabilities: Capabilities = Capabilities()  # noqa: RUF009
    tools: tuple[neutral.Tool, ...] = TOOLS
    stops: tuple[str, ...] = ()
    wants_json: bool = False
    raw: str = ""
    """arguments that are no object, as Messages, which knows only objects, tells them"""
    clients: tuple[ProtocolName, ...] = PROTOCOLS
    losses: tuple[str, ...] = ()
    """what is reported as lost"""


ENDS = {
    StopReason.END_TURN: ("end_turn", "stop", "completed"),
    StopReason.STOP_SEQUENCE: ("stop_sequence", "stop", "completed"),
    StopReason.TOOL_USE: ("tool_use", "tool_calls", "completed"),
    StopReason.MAX_TOKENS: ("max_tokens", "length", "max_output_tokens"),
    StopReason.CONTEXT_WINDOW: ("model_context_window_exceeded", "length", "max_output_tokens"),
    StopReason.REFUSAL: ("refusal", "content_filter", "content_filter"),
    StopReason.PAUSE: ("pause_turn", "stop", "completed"),
}
"""the words of Messages, Chat and Responses"""
ERRORS = {
    ErrorType.SERVER: ("api_error", "server_error", "server_error"),
    ErrorType.RATE_LIMIT: ("rate_limit_error", "requests", "rate_limit_exceeded"),
    ErrorType.OVERLOADED: ("overloaded_error", "server_error", "server_is_overloaded"),
    ErrorType.INVALID_REQUEST: ("invalid_request_error", "invalid_request_error", "invalid_prompt"),
    ErrorType.CONTEXT_OVERFLOW: (
        "invalid_request_error",
        "invalid_request_error",
        "context_length_exceeded",
    ),
}
CALLED = StopReason.TOOL_USE
A1, B2 = ("f", {"a": 1}), ("g", {"b": 2})
USED = (60, 40, 10)

# --- Chat upstreams -----------------------------------------------------------

END = c.finish("stop") + c.DONE
CALLS = c.finish("tool_calls") + c.DONE
COUNTS = c.counts(100, 40, 10)
CUT = "ended before its answer was complete"


def chunk(**fields: Any) -> bytes:
    return c.record({"id": "c1", "model": "m", **fields})


def half(stream: bytes) -> bytes:
    """The stream with the halves of a character in place of `<` and `>`, as escapes."""
    return stream.replace(b"<", b"\\ud83d").replace(b">", b"\\ude00")


CHAT = {
    "D01 interleaved calls": Case(
        c.call(0, "t0", "f", "")
        + c.call(1, "t1", "g", "")
        + c.call(0, None, None, '{"a":1}')
        + c.call(1, None, None, '{"b":2}')
        + CALLS,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "D02 a name repeated in each chunk": Case(
        c.call(0, "t0", "f", '{"a"') + c.call(0, "t0", "f", ":1}") + CALLS, calls=(A1,), stop=CALLED
    ),
    "D04 finish stop with calls": Case(c.call(0, "t0", "f", "{}") + END, calls=(("f", {}),), stop=CALLED),
    "D05 no reason to stop": Case(c.text("hi") + c.DONE, text="hi"),
    "D07 usage before the finish": Case(
        chunk(choices=[{"delta": {"content": "a"}}], usage=COUNTS) + END, text="a", usage=USED
    ),
    "D08 a late name": Case(
        c.call(0, "t0", None, "") + c.call(0, None, "f", "{}") + CALLS, calls=(("f", {}),), stop=CALLED
    ),
    "D10 an id on every delta": Case(
        c.call(0, "t0", "f", "{") + c.call(0, "t0", None, '"a":1') + c.call(0, "t0", None, "}") + CALLS,
        calls=(A1,),
        stop=CALLED,
    ),
    "D11 empty lists of calls beside text": Case(
        c.delta(content="a", tool_calls=[]) + c.delta(content="b", tool_calls=[]) + END, text="ab"
    ),
    "D13 usage after the end": Case(c.text("a") + END + c.usage(5, 0, 1), text="a"),
    "D14 chunks after the end": Case(c.text("a") + END + c.text("x") + END, text="a"),
    "D16 nothing but a call": Case(c.call(0, "t0", "f", '{"a":1}') + CALLS, calls=(A1,), stop=CALLED),
    "D17 a call after text": Case(
        c.text("a") + c.call(0, "t0", "f", '{"a":1}') + CALLS, text="a", calls=(A1,), stop=CALLED
    ),
    "D23 calls there and back": Case(
        c.call(0, "t0", "f", '{"a')
        + c.call(1, "t1", "g", '{"b')
        + c.call(0, None, None, '":1')
        + c.call(1, None, None, '":2}')
        + c.call(0, None, None, "}")
        + CALLS,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "D26 an error record": Case(
        c.text("a") + c.record({"error": {"message": "boom"}}), text="a", stop=None, broke="boom"
    ),
    "D26 an error record first": Case(c.record({"error": {"message": "boom"}}), stop=None, broke="boom"),
    "D28 think tags": Case(
        c.text("<think>x") + c.text("</think>a") + END,
        text="a",
        thinking="x",
        capabilities=Capabilities(think_tags=True),
    ),
    "D28 think tags of a server that is not known for them": Case(
        c.text("<think>x") + c.text("</think>a") + END, text="<think>x</think>a"
    ),
    "D29 think tags in pieces": Case(
        c.text("<th") + c.text("ink>x</thi") + c.text("nk>a") + END,
        text="a",
        thinking="x",
        capabilities=Capabilities(think_tags=True),
    ),
    "D31 reasoning told twice": Case(c.delta(reasoning="t", reasoning_content="t") + END, thinking="t"),
    "D32 reasoning and text in one chunk": Case(
        c.delta(reasoning_content="t", content="a") + END, thinking="t", text="a"
    ),
    "D34 blanks in reasoning": Case(c.delta(reasoning="a ") + c.delta(reasoning=" b") + END, thinking="a  b"),
    "D197 the demanded object in the reasoning": Case(
        c.delta(reasoning_content='{"a":') + c.delta(reasoning_content="1}") + END,
        thinking='{"a":1}',
        text='{"a":1}',
        wants_json=True,
    ),
    "D197 reasoning that is no object": Case(c.delta(reasoning="hm") + END, thinking="hm", wants_json=True),
    "D197 reasoning and an object": Case(
        c.delta(reasoning="{}") + c.text('{"a":1}') + END, thinking="{}", text='{"a":1}', wants_json=True
    ),
    "D35 reasoning alone": Case(c.delta(reasoning_content="t") + END, thinking="t"),
    "D37 a finish without delta": Case(c.text("a") + c.choice(finish_reason="stop") + c.DONE, text="a"),
    "D37 a call without index": Case(
        c.call(None, "t0", "f", '{"a"') + c.call(None, None, None, ":1}") + CALLS, calls=(A1,), stop=CALLED
    ),
    "D38 text beside the finish": Case(
        c.choice(delta={"content": "z"}, finish_reason="stop") + c.DONE, text="z"
    ),
    "D40 a whole call at the limit": Case(
        c.call(0, "t0", "f", '{"a":1}') + c.finish("length") + c.DONE,
        calls=(A1,),
        stop=StopReason.MAX_TOKENS,
    ),
    "D41 the stop sequence that vLLM names": Case(
        c.text("a") + c.finish("stop", stop_reason="END") + c.DONE,
        text="a",
        stop=StopReason.STOP_SEQUENCE,
        sequence="END",
        stops=("END",),
    ),
    "D43 one index for all calls": Case(
        c.call(0, "x", "f", '{"a":1}') + c.call(0, "y", "g", '{"b":2}') + CALLS, calls=(A1, B2), stop=CALLED
    ),
    "one id for two calls": Case(
        c.call(0, "t0", "f", '{"a":1}') + c.call(1, "t0", "g", '{"b":2}') + CALLS, calls=(A1, B2), stop=CALLED
    ),
    "D44 snapshots of the arguments": Case(
        c.call(0, "t0", "f", '{"a"') + c.call(0, None, None, '{"a":1}') + CALLS, calls=(A1,), stop=CALLED
    ),
    "D47 a single call instead of a list, its name null later": Case(
        c.delta(tool_calls={"index": 0, "id": "", "function": {"name": "f", "arguments": '{"a":1'}})
        + c.delta(tool_calls={"index": 0, "id": "", "function": {"name": None, "arguments": "}"}})
        + CALLS,
        calls=(A1,),
        stop=CALLED,
    ),
    "D50 Azure's first chunk": Case(
        c.record({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}) + c.text("a") + END,
        text="a",
    ),
    "D53 reasoning, then text": Case(
        c.delta(reasoning_content="t") + c.text("a") + END, thinking="t", text="a"
    ),
    "D55 an end without reason": Case(c.text("a"), text="a", stop=None, broke=CUT),
    "D56 a freeform tool": Case(
        c.call(0, "c", "apply_patch", '{"input":"*** Beg') + c.call(0, None, None, 'in"}') + CALLS,
        calls=(("apply_patch", "*** Begin"),),
        stop=CALLED,
        tools=(PATCH,),
        clients=("chat", "responses"),
    ),
    "D58 usage without details": Case(
        c.text("a")
        + c.finish("stop")
        + chunk(choices=[], usage={"prompt_tokens": 100, "completion_tokens": 10})
        + c.DONE,
        text="a",
        usage=(100, 0, 10),
    ),
    "D59 usage after the finish": Case(
        c.text("a") + c.finish("stop") + c.usage(100, 40, 10) + c.DONE, text="a", usage=USED
    ),
    "D62 reasoning, then silence": Case(c.delta(reasoning_content="t"), thinking="t", stop=None, broke=CUT),
    "D64 a call without id": Case(c.call(0, None, "f", "{}") + CALLS, calls=(("f", {}),), stop=CALLED),
    "D64 a late id": Case(
        c.call(0, None, "f", "") + c.call(0, "t0", None, '{"a":1}') + CALLS, calls=(A1,), stop=CALLED
    ),
    "D65 calls in reverse order": Case(
        c.call(1, "t1", "g", '{"b":2}') + c.call(0, "t0", "f", '{"a":1}') + CALLS,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "D70 a tool that nobody declared": Case(
        c.call(0, "t0", "zzz", '{"a":1}') + CALLS, calls=(("zzz", {"a": 1}),), stop=CALLED
    ),
    "D71 a call without name": Case(
        c.call(0, "t0", "", '{"a":1}') + CALLS, stop=None, broke="without naming it"
    ),
    "D85 arguments that are no JSON": Case(
        c.call(0, "t0", "f", "{bad") + CALLS, calls=(("f", "{bad"),), stop=CALLED, raw="{bad"
    ),
    "D157 tokens from a cache": Case(
        c.text("a") + c.finish("stop") + c.usage(100, 40, 10) + c.DONE, text="a", usage=USED
    ),
    "D160 DeepSeek's words for the cache": Case(
        c.text("a")
        + c.finish("stop")
        + chunk(
            choices=[], usage={"prompt_tokens": 100, "completion_tokens": 10, "prompt_cache_hit_tokens": 64}
        )
        + c.DONE,
        text="a",
        usage=(36, 64, 10),
    ),
    "D163 characters of several bytes": Case(c.text("é") + c.text("😀\u2028") + END, text="é😀\u2028"),
    "D164 no space after the colon": Case((c.text("a") + END).replace(b"data: ", b"data:"), text="a"),
    "D166 CRLF": Case((c.text("a") + END).replace(b"\n", b"\r\n"), text="a"),
    "D166 CR": Case((c.text("a") + END).replace(b"\n", b"\r"), text="a"),
    "D167 no blank line at the end": Case((c.text("a") + END).rstrip(b"\n"), text="a"),
    "D175 an upstream's own type of error": Case(
        c.text("a") + c.record({"error": {"message": "boom", "type": "stream_error"}}),
        text="a",
        stop=None,
        broke="boom",
    ),
    "D176 the context is full": Case(
        c.record(
            {
                "error": {
                    "message": "This model's maximum context length is 10 tokens. However, your messages"
                    " resulted in 12 tokens.",
                    "code": "context_length_exceeded",
                }
            }
        ),
        stop=None,
        broke="12 tokens",
        error=ErrorType.CONTEXT_OVERFLOW,
    ),
    "D178 a flat error with a number": Case(
        c.text("a") + c.record({"object": "error", "message": "boom", "code": 50001}),
        text="a",
        stop=None,
        broke="boom",
    ),
    "D179 MiniMax's error": Case(
        c.record({"choices": None, "base_resp": {"status_code": 2013, "status_msg": "boom"}}),
        stop=None,
        broke="boom",
        error=ErrorType.INVALID_REQUEST,
    ),
    "S06 a name in pieces": Case(
        c.call(0, "t0", "get_") + c.call(0, None, "it") + c.call(0, None, None, '{"a":1}') + CALLS,
        calls=(("get_it", {"a": 1}),),
        stop=CALLED,
    ),
    "S08 arguments as an object": Case(c.call(0, "t0", "f", {"a": 1}) + CALLS, calls=(A1,), stop=CALLED),
    "S08 arguments encoded twice": Case(
        c.call(0, "t0", "f", '"{\\"a\\"') + c.call(0, None, None, ':1}"') + CALLS, calls=(A1,), stop=CALLED
    ),
    "S10 two calls in one chunk": Case(
        c.delta(tool_calls=[c.fragment(0, "t0", "f", '{"a":1}'), c.fragment(1, "t1", "g", '{"b":2}')])
        + CALLS,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "S12 a message instead of a delta": Case(
        c.choice(
            message={
                "content": "a",
                "tool_calls": [{"id": "t0", "function": {"name": "f", "arguments": "{}"}}],
            }
        )
        + CALLS,
        text="a",
        calls=(("f", {}),),
        stop=CALLED,
    ),
    "S13 a call without arguments": Case(c.call(0, "t0", "f") + CALLS, calls=(("f", {}),), stop=CALLED),
    "S14 usage in every chunk": Case(
        chunk(choices=[{"delta": {"content": "a"}}], usage=c.counts(100, 40, 1))
        + chunk(choices=[{"delta": {"content": "b"}}], usage=c.counts(100, 40, 2))
        + c.finish("stop")
        + c.usage(100, 40, 10)
        + c.DONE,
        text="ab",
        usage=USED,
    ),
    "S14 usage in the finish, zeros after it": Case(
        c.text("a")
        + chunk(choices=[{"delta": {}, "finish_reason": "stop"}], usage=COUNTS)
        + c.usage(0, 0, 0)
        + c.DONE,
        text="a",
        usage=USED,
    ),
    "S16 stop, then tool_calls": Case(
        c.call(0, "t0", "f", '{"a":1}') + c.finish("stop") + c.finish("tool_calls") + c.DONE,
        calls=(A1,),
        stop=CALLED,
    ),
    "S16 length, then stop": Case(
        c.text("a") + c.finish("length") + c.finish("stop") + c.DONE, text="a", stop=StopReason.MAX_TOKENS
    ),
    "S21 an error event in plain text": Case(
        c.text("a") + b"event: error\ndata: boom\n\n", text="a", stop=None, broke="boom"
    ),
    "S21 FastChat's error": Case(
        c.text("a") + c.record({"text": "boom", "error_code": 50001}), text="a", stop=None, broke="boom"
    ),
    "S21 a finish called error": Case(
        c.text("a") + c.finish("error") + c.DONE, text="a", stop=None, broke="broke off"
    ),
    "S21 an error that is no event": Case(
        c.text("a") + b'{"error":"boom"}\n', text="a", stop=None, broke="boom"
    ),
    "S23 text after a call": Case(
        c.text("a") + c.call(0, "t0", "f", '{"a":1}') + c.text("b") + CALLS,
        text="ab",
        calls=(A1,),
        stop=CALLED,
    ),
    "S24 reasoning between texts": Case(
        c.delta(reasoning="t") + c.text("a") + c.delta(reasoning="u") + c.text("b") + END,
        thinking="tu",
        text="ab",
    ),
    "S28 text after the finish": Case(c.text("a") + c.finish("stop") + c.text("b") + c.DONE, text="ab"),
    "S28 a call after the finish": Case(
        c.finish("stop") + c.call(0, "t0", "f", '{"a":1}') + c.DONE, calls=(A1,), stop=CALLED
    ),
    "S31 a legacy text": Case(c.choice(text="a") + c.choice(text="b") + END, text="ab"),
    "S32 content in parts": Case(
        c.delta(content=[{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]) + END,
        thinking="t",
        text="a",
    ),
    "S33 no role, an odd role": Case(c.text("a") + c.delta(role="user", content="b") + END, text="ab"),
    "S34 several choices": Case(
        chunk(choices=[{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": {"content": "a"}}])
        + END,
        text="a",
        losses=("choices",),
    ),
    "S53 a placeholder before the arguments": Case(
        c.call(0, "t0", "f", "{}") + c.call(0, None, None, '{"a"') + c.call(0, None, None, ":1}") + CALLS,
        calls=(A1,),
        stop=CALLED,
    ),
    "a refusal in words": Case(
        c.delta(refusal="no") + END, text="no", stop=StopReason.REFUSAL, refused_in_words=True
    ),
    "a filter stopped the answer": Case(
        c.text("a") + c.finish("content_filter") + c.DONE, text="a", stop=StopReason.REFUSAL
    ),
    "a filter stopped everything": Case(c.finish("content_filter") + c.DONE, stop=StopReason.REFUSAL),
    "multi-line data": Case(
        b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"a"}}]}\n\n' + END, text="a"
    ),
    "a byte order mark": Case(b"\xef\xbb\xbf" + c.text("a") + END, text="a"),
    "broken characters": Case(c.text("a?b").replace(b"?", b"\xff") + END, text="a\ufffdb"),
    "two calls under one index, without ids": Case(
        c.call(0, None, "f", '{"a":1}') + c.call(0, None, "g", '{"b":2}') + CALLS, calls=(A1, B2), stop=CALLED
    ),
    "two calls of one tool under one index, without ids": Case(
        c.call(0, None, "f", '{"a":1}') + c.call(0, None, "f", '{"a"') + c.call(0, None, None, ":2}") + CALLS,
        calls=(A1, ("f", {"a": 2})),
        stop=CALLED,
    ),
    "two calls under one index and one id": Case(
        c.call(0, "t0", "f", "{}") + c.call(0, "t0", "g", '{"b":') + c.call(0, "t0", None, "2}") + CALLS,
        calls=(("f", {}), B2),
        stop=CALLED,
    ),
    "two legacy calls": Case(
        c.delta(function_call={"name": "f", "arguments": '{"a":1}'})
        + c.delta(function_call={"name": "g", "arguments": '{"b":2}'})
        + CALLS,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "a whole call repeated": Case(
        c.call(0, None, "f", '{"a":1}') + c.call(0, None, "f", '{"a":1}') + c.call(0, None, "f", "") + CALLS,
        calls=(A1,),
        stop=CALLED,
    ),
    "an empty custom call beside a function": Case(
        c.delta(tool_calls=[{**c.fragment(0, "t0", "f", '{"a"'), "custom": {"input": "", "name": ""}}])
        + c.delta(tool_calls=[{**c.fragment(0, None, None, ":1}"), "custom": {"input": "", "name": ""}}])
        + CALLS,
        calls=(A1,),
        stop=CALLED,
    ),
    "an empty function beside a custom call": Case(
        c.delta(
            tool_calls=[
                {
                    "index": 0,
                    "id": "t0",
                    "type": "custom",
                    "custom": {"name": "apply_patch", "input": "*** Begin"},
                    "function": {"name": "", "arguments": ""},
                }
            ]
        )
        + CALLS,
        calls=(("apply_patch", "*** Begin"),),
        stop=CALLED,
        tools=(PATCH,),
        raw="*** Begin",
    ),
    "empty calls beside text": Case(
        c.delta(content="a", tool_calls=[{"index": 0, "function": {}}])
        + c.delta(content="b", function_call={"name": "", "arguments": ""})
        + END,
        text="ab",
    ),
    "a call without name beside a valid one": Case(
        c.call(0, "t0", "", '{"x":1}') + c.call(1, "t1", "g", '{"b":2}') + CALLS,
        calls=(B2,),
        stop=CALLED,
        losses=("tool_calls",),
    ),
    "a call without name after a valid one": Case(
        c.call(0, "t0", "f", '{"a":1}') + c.call(1, "t1", None, '{"x":1}') + CALLS,
        calls=(A1,),
        stop=CALLED,
        losses=("tool_calls",),
    ),
    "the whole message repeated at the end": Case(
        c.text("He")
        + c.text("llo")
        + c.choice(message={"role": "assistant", "content": "Hello"}, finish_reason="stop")
        + c.DONE,
        text="Hello",
    ),
    "the whole message with all that the deltas lack": Case(
        c.delta(reasoning_content="h")
        + c.text("He")
        + c.choice(
            delta={},
            message={
                "content": "Hello",
                "reasoning_content": "h",
                "tool_calls": [c.fragment(0, "t0", "f", '{"a":1}')],
            },
            finish_reason="tool_calls",
        )
        + c.DONE,
        text="Hello",
        thinking="h",
        calls=(A1,),
        stop=CALLED,
    ),
    "reasoning and calls repeated in a whole message": Case(
        c.delta(reasoning="hm")
        + c.text("Hi")
        + c.call(0, "t0", "f", '{"a"')
        + c.call(0, None, None, ":1}")
        + c.call(1, "t1", "g", '{"b":2}')
        + c.choice(
            message={
                "content": [{"type": "text", "text": "Hi"}],
                "reasoning": "hm",
                "tool_calls": [
                    c.fragment(None, "t0", "f", '{"a": 1}'),
                    c.fragment(None, "t1", "g", '{"b": 2}'),
                ],
            },
            finish_reason="tool_calls",
        )
        + c.DONE,
        text="Hi",
        thinking="hm",
        calls=(A1, B2),
        stop=CALLED,
    ),
    "calls without ids repeated in a whole message": Case(
        c.call(None, None, "f", '{"a":1}')
        + c.call(None, None, "g", '{"b":2}')
        + c.choice(
            message={
                "tool_calls": [c.fragment(0, None, "f", '{"a":1}'), c.fragment(0, None, "g", '{"b":2}')]
            },
            finish_reason="tool_calls",
        )
        + c.DONE,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "messages that grow": Case(
        c.choice(message={"content": "He"})
        + c.choice(message={"content": "Hello"}, finish_reason="stop")
        + c.DONE,
        text="Hello",
    ),
    "messages that are pieces": Case(
        c.choice(delta={}, message={"content": "He"})
        + c.choice(delta={}, message={"content": "llo"}, finish_reason="stop")
        + c.DONE,
        text="Hello",
    ),
    "the limit in capitals": Case(
        c.text("Hi") + c.finish("LENGTH") + c.DONE, text="Hi", stop=StopReason.MAX_TOKENS
    ),
    "the limit with a prefix": Case(
        c.text("Hi") + c.finish("FINISH_REASON_MAX_TOKENS") + c.DONE, text="Hi", stop=StopReason.MAX_TOKENS
    ),
    "the limit as a member": Case(
        c.text("Hi") + c.finish("FinishReason.MAX_TOKENS") + c.DONE, text="Hi", stop=StopReason.MAX_TOKENS
    ),
    "safety": Case(c.text("Hi") + c.finish("SAFETY") + c.DONE, text="Hi", stop=StopReason.REFUSAL),
    "recitation": Case(
        c.text("Hi") + c.finish("FinishReason.RECITATION") + c.DONE, text="Hi", stop=StopReason.REFUSAL
    ),
    "a regular end in capitals": Case(c.text("Hi") + c.finish("STOP") + c.DONE, text="Hi"),
    "a malformed call": Case(
        c.text("Hi") + c.finish("MALFORMED_FUNCTION_CALL") + c.DONE, text="Hi", stop=None, broke="broke off"
    ),
    "an unknown reason": Case(c.text("Hi") + c.finish("tired") + c.DONE, text="Hi", losses=("stop_reason",)),
    "a character in two chunks": Case(half(c.text("a<") + c.text(">b")) + END, text="a😀b"),
    "a character in two chunks of reasoning": Case(
        half(c.delta(reasoning="a<") + c.delta(reasoning=">")) + END, thinking="a😀"
    ),
    "a character in two pieces of arguments": Case(
        half(c.call(0, "t0", "f", '{"a":"<') + c.call(0, None, None, '>"}')) + CALLS,
        calls=(("f", {"a": "😀"}),),
        stop=CALLED,
    ),
    "half a character, then others": Case(
        half(c.text("a<") + c.text("b") + c.text(">c")) + END, text="a\ufffdb\ufffdc", losses=("content",)
    ),
    "half a character at the end": Case(half(c.text("a<")) + END, text="a\ufffd", losses=("content",)),
    "half a character and no end": Case(half(c.text("a<")), text="a\ufffd", stop=None, broke=CUT),
    "halves inside of a text": Case(
        half(c.text("a<b>c<>")) + END, text="a\ufffdb\ufffdc😀", losses=("content",)
    ),
    "an escaped backslash before what looks like half a character": Case(
        half(c.text("a\\ud83d") + c.text("\\ude00<") + c.text(">")) + END, text="a\\ud83d\\ude00😀"
    ),
    "the same tokens read and written": Case(
        c.text("a")
        + END.replace(c.DONE, b"")
        + chunk(
            choices=[],
            usage={
                "prompt_tokens": 2168,
                "completion_tokens": 100,
                "total_tokens": 2268,
                "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161},
            },
        )
        + c.DONE,
        text="a",
        usage=(7, 2161, 100),
    ),
    "an unknown part": Case(
        c.delta(content=[{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "u"}}])
        + END,
        text="Hi",
        losses=("content.image_url",),
    ),
    "sound, with what is spoken": Case(
        c.delta(role="assistant", audio={"id": "audio_1", "transcript": "He"})
        + c.delta(audio={"data": "UklGRg=="})
        + c.delta(audio={"transcript": "llo"})
        + c.delta(audio={"expires_at": 1})
        + END,
        text="Hello",
        losses=("audio",),
    ),
    "images beside the text": Case(
        c.text("Here:")
        + c.delta(images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}])
        + END,
        text="Here:",
        losses=("images",),
    ),
    "images only at the end": Case(
        c.text("Here:")
        + c.choice(
            message={"content": "Here:", "images": [{"image_url": {"url": "u"}}]}, finish_reason="stop"
        )
        + c.DONE,
        text="Here:",
        losses=("images",),
    ),
    "a second choice in chunks of its own": Case(
        c.text("a") + chunk(choices=[{"index": 1, "delta": {"content": "z"}}]) + c.text("b") + END,
        text="ab",
        losses=("choices",),
    ),
    "a second choice in the same chunks": Case(
        chunk(choices=[{"index": number, "delta": {"content": said}} for number, said in enumerate("ayz")])
        + c.text("b")
        + END,
        text="ab",
        losses=("choices",),
    ),
    "an error without a message": Case(
        c.text("a") + c.record({"error": {"message": None, "type": "server_error"}}),
        text="a",
        stop=None,
        broke="without an explanation (server_error)",
    ),
    "an error with an empty message": Case(
        c.text("a") + c.record({"error": {"message": "", "code": 500}}),
        text="a",
        stop=None,
        broke="without an explanation (500)",
    ),
}

# --- Messages upstreams -------------------------------------------------------

HI = bs(0, "text") + bd(0, "Hi") + be(0)
OUT = {"output_tokens": 2}
DONE = md("end_turn", OUT) + MST
USE = md("tool_use", OUT) + MST

MESSAGES = {
    "D92 a call after text": Case(
        ms() + HI + bs(1, "tool_use") + args(1, '{"a":') + args(1, "1}") + be(1) + USE,
        text="Hi",
        calls=(A1,),
        stop=CALLED,
    ),
    "D94 several deltas": Case(ms() + bs(0, "text") + bd(0, "H") + bd(0, "i") + be(0) + DONE, text="Hi"),
    "D97 the window is full": Case(
        ms() + HI + md("model_context_window_exceeded", OUT) + MST, text="Hi", stop=StopReason.CONTEXT_WINDOW
    ),
    "D97 a pause": Case(ms() + HI + md("pause_turn", OUT) + MST, text="Hi", stop=StopReason.PAUSE),
    "D98 a refusal": Case(ms() + HI + md("refusal", OUT) + MST, text="Hi", stop=StopReason.REFUSAL),
    "D98 a refusal with its explanation": Case(
        ms() + md("refusal", OUT, stop_details={"type": "refusal", "explanation": "No."}) + MST,
        text="No.",
        stop=StopReason.REFUSAL,
        refused_in_words=True,
    ),
    "D100 redacted thinking": Case(
        ms() + bs(0, "redacted_thinking", data="D") + be(0) + bs(1, "text") + bd(1, "Hi") + be(1) + DONE,
        text="Hi",
    ),
    "D101 pings and unknown events": Case(
        PING
        + ms()
        + PING
        + bs(0, "text")
        + PING
        + bd(0, "Hi")
        + b": c\n\nevent: x\ndata: {}\n\n"
        + be(0)
        + DONE,
        text="Hi",
    ),
    "D103 no end": Case(ms() + HI, text="Hi", stop=None, broke=CUT),
    "D104 a second message_delta without reason": Case(
        ms() + HI + md("end_turn", OUT) + md(None, {"output_tokens": 0}) + MST, text="Hi", usage=(7, 0, 2)
    ),
    "D106 input that is no object": Case(
        ms() + bs(0, "tool_use", input="str") + be(0) + USE, calls=(("f", "str"),), stop=CALLED, raw='"str"'
    ),
    "D158 tokens of a cache": Case(
        ms(usage={"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}) + HI + DONE,
        text="Hi",
        usage=(10, 90, 2),
    ),
    "D190 a null reason at the end": Case(
        ms() + HI + md(None, OUT) + MST, text="Hi", stop=StopReason.REFUSAL
    ),
    "S24 signed thinking, then text": Case(
        ms()
        + bs(0, "thinking")
        + thought(0, "T")
        + sig(0, "S")
        + be(0)
        + bs(1, "text")
        + bd(1, "Hi")
        + be(1)
        + DONE,
        thinking="T",
        text="Hi",
    ),
    "S40 the type only in the event line": Case(
        ms()
        + HI
        + b'event: message_delta\ndata: {"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n'
        + MST,
        text="Hi",
    ),
    "S43 no ends of blocks, no end, two starts": Case(
        ms()
        + ms()
        + bs(0, "text")
        + bd(0, "a")
        + bs(1, "tool_use")
        + args(1, '{"a":1}')
        + md("tool_use", OUT),
        text="a",
        calls=(A1,),
        stop=CALLED,
    ),
    "S43 a message_delta for each count": Case(
        ms() + HI + md(None, {"output_tokens": 1}) + md("end_turn", OUT) + MST, text="Hi", usage=(7, 0, 2)
    ),
    "S44 content in the start of its block": Case(
        ms() + bs(0, "text", text="H") + bd(0, "i") + be(0) + bs(1, "tool_use", input={"a": 1}) + be(1) + USE,
        text="Hi",
        calls=(A1,),
        stop=CALLED,
    ),
    "S45 an error first": Case(
        b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow"}}\n\n',
        stop=None,
        broke="slow",
        error=ErrorType.RATE_LIMIT,
    ),
    "S46 input only told at the end": Case(
        ms(0)
        + HI
        + md("end_turn", {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 2})
        + MST,
        text="Hi",
        usage=(10, 90, 2),
    ),
    "S46 zero input at the end": Case(
        ms(10) + HI + md("end_turn", {"input_tokens": 0, "output_tokens": 2}) + MST,
        text="Hi",
        usage=(10, 0, 2),
    ),
    "S21 an overload in the middle": Case(
        ms()
        + HI
        + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n',
        text="Hi",
        stop=None,
        broke="busy",
        error=ErrorType.OVERLOADED,
    ),
    "S21 an error without its event line": Case(
        ms() + HI + b'data: {"error":{"message":"boom"}}\n\n', text="Hi", stop=None, broke="boom"
    ),
    "calls that overlap": Case(
        ms()
        + bs(0, "tool_use")
        + bs(1, "tool_use", name="g")
        + args(1, '{"b":')
        + args(0, '{"a":1}')
        + args(1, "2}")
        + be(0)
        + be(1)
        + USE,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "one id for two calls": Case(
        ms()
        + bs(0, "tool_use", id="t", input={"a": 1})
        + be(0)
        + bs(1, "tool_use", id="t", name="g", input={"b": 2})
        + be(1)
        + USE,
        calls=(A1, B2),
        stop=CALLED,
    ),
    "D71 a call without name": Case(
        ms() + HI + bs(1, "tool_use", name="") + args(1, '{"a":1}') + be(1) + USE,
        text="Hi",
        stop=None,
        broke="without naming it",
    ),
    "a start told twice": Case(
        ms() + bs(0, "tool_use") + args(0, '{"a"') + bs(0, "tool_use") + args(0, ":1}") + be(0) + USE,
        calls=(A1,),
        stop=CALLED,
    ),
    "a stop sequence after a call": Case(
        ms()
        + bs(0, "tool_use", input={"a": 1})
        + be(0)
        + bs(1, "text")
        + bd(1, "Hi")
        + be(1)
        + md("stop_sequence", OUT, stop_sequence="END")
        + MST,
        text="Hi",
        calls=(A1,),
        stop=CALLED,
        stops=("END",),
    ),
    "a freeform tool": Case(
        ms() + bs(0, "tool_use", name="apply_patch") + args(0, '{"input":"*** Begin"}') + be(0) + USE,
        calls=(("apply_patch", "*** Begin"),),
        stop=CALLED,
        tools=(PATCH,),
        clients=("chat", "responses"),
    ),
    "a stop sequence": Case(
        ms() + HI + md("stop_sequence", OUT, stop_sequence="END") + MST,
        text="Hi",
        stop=StopReason.STOP_SEQUENCE,
        sequence="END",
        stops=("END",),
    ),
    "CRLF, no spaces, no blank line at the end": Case(
        (ms() + HI + DONE).replace(b": ", b":").replace(b"\n", b"\r\n").rstrip(b"\r\n"), text="Hi"
    ),
    "a call without name beside a valid one": Case(
        ms()
        + bs(0, "tool_use", name="")
        + args(0, '{"x":1}')
        + be(0)
        + bs(1, "tool_use", name="g")
        + args(1, '{"b":2}')
        + be(1)
        + USE,
        calls=(B2,),
        stop=CALLED,
        losses=("tool_calls",),
    ),
    "a call without name after a valid one": Case(
        ms()
        + bs(0, "tool_use")
        + args(0, '{"a":1}')
        + be(0)
        + bs(1, "tool_use", name=None)
        + args(1, "{}")
        + be(1)
        + USE,
        calls=(A1,),
        stop=CALLED,
        losses=("tool_calls",),
    ),
    "nothing but a call without name": Case(
        ms() + HI + bs(1, "tool_use", name="") + args(1, "{}") + be(1) + USE,
        text="Hi",
        stop=None,
        broke="without naming it",
    ),
    "the limit in Chat's word": Case(
        ms() + HI + md("length", OUT) + MST, text="Hi", stop=StopReason.MAX_TOKENS
    ),
    "the limit in capitals": Case(
        ms() + HI + md("MAX_TOKENS", OUT) + MST, text="Hi", stop=StopReason.MAX_TOKENS
    ),
    "safety": Case(ms() + HI + md("SAFETY", OUT) + MST, text="Hi", stop=StopReason.REFUSAL),
    "a call with Chat's word": Case(
        ms() + bs(0, "tool_use") + args(0, '{"a":1}') + be(0) + md("tool_calls", OUT) + MST,
        calls=(A1,),
        stop=CALLED,
    ),
    "a reason that means an error": Case(
        ms() + HI + md("error", OUT) + MST, text="Hi", stop=None, broke="broke off"
    ),
    "a character in two events": Case(
        ms() + bs(0, "text") + half(bd(0, "a<") + PING + bd(0, ">b")) + be(0) + DONE, text="a😀b"
    ),
    "a character in two events of thinking": Case(
        ms() + bs(0, "thinking") + half(thought(0, "<") + thought(0, ">")) + sig(0, "S") + be(0) + DONE,
        thinking="😀",
    ),
    "half a character": Case(
        ms() + bs(0, "text") + half(bd(0, "a<") + bd(0, "b")) + be(0) + DONE,
        text="a\ufffdb",
        losses=("content",),
    ),
    "a second answer before the first is complete": Case(
        ms() + bs(0, "text") + bd(0, "Hel") + ms(id="msg_2") + bs(0, "text") + bd(0, "Hello") + be(0) + DONE,
        text="Hel",
        stop=None,
        broke="second answer",
    ),
    "a second answer after the first": Case(
        ms() + HI + md("end_turn", OUT) + ms(id="msg_2") + bs(0, "text") + bd(0, "Ho") + be(0) + DONE,
        text="Hi",
    ),
    "a second answer after a call": Case(
        ms() + bs(0, "tool_use") + args(0, "{}") + be(0) + USE.replace(MST, b"") + ms(id="msg_2") + HI + DONE,
        calls=(("f", {}),),
        stop=CALLED,
    ),
    "a second start before any content": Case(ms() + ms(id="msg_2") + HI + DONE, text="Hi"),
    "an unknown block": Case(
        ms()
        + bs(0, "hologram", text="boo")
        + bd(0, "boo")
        + be(0)
        + bs(1, "text")
        + bd(1, "Hi")
        + be(1)
        + DONE,
        text="Hi",
        losses=("content.hologram",),
    ),
    "an unknown block between pieces of a text": Case(
        ms()
        + bs(0, "text")
        + bd(0, "H")
        + bs(1, "hologram")
        + bd(1, "boo")
        + be(1)
        + bd(0, "i")
        + be(0)
        + DONE,
        text="Hi",
        losses=("content.hologram",),
    ),
    "another tool of the upstream": Case(
        ms()
        + bs(0, "server_tool_use", id="s", name="web_fetch", input={})
        + args(0, "{}")
        + be(0)
        + bs(1, "web_fetch_tool_result", tool_use_id="s", content={})
        + be(1)
        + bs(2, "text")
        + bd(2, "Hi")
        + be(2)
        + DONE,
        text="Hi",
        losses=("content.web_fetch", "content.web_fetch_tool_result"),
    ),
    "a delta without a type": Case(
        ms()
        + bs(0, "text")
        + event({"type": "content_block_delta", "index": 0, "delta": {"text": "Hi"}})
        + be(0)
        + DONE,
        text="Hi",
    ),
    "an unknown event with content": Case(
        ms()
        + HI
        + event({"type": "content_block_extra", "index": 0, "delta": {"type": "x", "text": "boo"}})
        + DONE,
        text="Hi",
        losses=("content.content_block_extra",),
    ),
    "an error without a message": Case(
        ms() + HI + event({"type": "error", "error": {"type": "overloaded_error"}}),
        text="Hi",
        stop=None,
        broke="without an explanation (overloaded_error)",
        error=ErrorType.OVERLOADED,
    ),
    "an error with nothing": Case(
        ms() + HI + event({"type": "error"}), text="Hi", stop=None, broke="without an explanation"
    ),
    "an error with an empty message": Case(
        ms() + HI + event({"type": "error", "error": {"type": "api_error", "message": " "}}),
        text="Hi",
        stop=None,
        broke="without an explanation (api_error)",
    ),
}

# --- Responses upstreams ------------------------------------------------------

COUNTED = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 10,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 110,
}
SUMMARIES = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
    "encrypted_content": "opaque",
}


def summary(index: int, delta: str) -> bytes:
    return r.event("response.reasoning_summary_text.delta", output_index=0, summary_index=index, delta=delta)


WHOLE_CALL = r.call(arguments='{"a":1}')

RESPONSES = {
    "D73 arguments only when done": Case(
        r.created()
        + r.added(0, **r.call())
        + r.event("response.function_call_arguments.done", output_index=0, arguments='{"a":1}')
        + r.done(0, **WHOLE_CALL)
        + r.ended(),
        calls=(A1,),
        stop=CALLED,
    ),
    "D73 arguments only in the finished item": Case(
        r.created() + r.added(0, **r.call()) + r.done(0, **WHOLE_CALL) + r.ended(), calls=(A1,), stop=CALLED
    ),
    "D74 arguments told three times": Case(
        r.created()
        + r.added(0, **r.call())
        + r.arguments(0, '{"a":1}')
        + r.event("response.function_call_arguments.done", output_index=0, arguments='{"a":1}')
        + r.done(0, **WHOLE_CALL)
        + r.ended(output=[WHOLE_CALL]),
        calls=(A1,),
        stop=CALLED,
    ),
    "D76 a last response without output": Case(
        r.created()
        + r.added(0, **r.call())
        + r.arguments(0, '{"a":1}')
        + r.done(0, **WHOLE_CALL)
        + r.ended(output=[]),
        calls=(A1,),
        stop=CALLED,
    ),
    "D77 two summaries, one thought": Case(
        r.created()
        + summary(0, "one")
        + summary(1, "two")
        + r.done(0, **SUMMARIES)
        + r.said(1, "Hi")
        + r.ended(output=[SUMMARIES, r.message("Hi")]),
        thinking="one\n\ntwo",
        text="Hi",
    ),
    "D79 reasoning without opaque content": Case(
        r.created()
        + r.done(0, type="reasoning", summary=[{"type": "summary_text", "text": "X"}])
        + r.ended(),
        thinking="X",
    ),
    "D80 a failed response": Case(
        r.created()
        + r.said(0, "Hi")
        + r.ended("failed", error={"code": "rate_limit_exceeded", "message": "slow"}),
        text="Hi",
        stop=None,
        broke="slow",
        error=ErrorType.RATE_LIMIT,
    ),
    "D80 an error event": Case(
        r.created() + r.said(0, "Hi") + r.event("error", code="server_is_overloaded", message="busy"),
        text="Hi",
        stop=None,
        broke="busy",
        error=ErrorType.OVERLOADED,
    ),
    "D83 a filter": Case(
        r.created()
        + r.said(0, "Hi")
        + r.ended("incomplete", incomplete_details={"reason": "content_filter"}),
        text="Hi",
        stop=StopReason.REFUSAL,
    ),
    "D83 the limit": Case(
        r.created()
        + r.said(0, "Hi")
        + r.ended("incomplete", incomplete_details={"reason": "max_output_tokens"}),
        text="Hi",
        stop=StopReason.MAX_TOKENS,
    ),
    "D85 arguments that are no JSON": Case(
        r.created() + r.done(0, **r.call(arguments="{bad")) + r.ended(),
        calls=(("f", "{bad"),),
        stop=CALLED,
        raw="{bad",
    ),
    "D86 deltas under another id": Case(
        r.created()
        + r.event("response.output_item.added", item=r.call())
        + r.event("response.function_call_arguments.delta", item_id="other", delta='{"a":1}')
        + r.event("response.output_item.done", item=WHOLE_CALL)
        + r.ended(),
        calls=(A1,),
        stop=CALLED,
    ),
    "D88 a call that only the last response ends": Case(
        r.created() + r.added(0, **r.call()) + r.arguments(0, '{"a"') + r.ended(output=[WHOLE_CALL]),
        calls=(A1,),
        stop=CALLED,
    ),
    "D91 arguments in pieces": Case(
        r.created()
        + r.added(0, **r.call())
        + r.arguments(0, '{"a"')
        + r.arguments(0, ":1}")
        + r.done(0, **WHOLE_CALL)
        + r.ended(),
        calls=(A1,),
        stop=CALLED,
    ),
    "D194 a cut answer called complete": Case(
        r.created() + r.said(0, "Hi") + r.event("response.completed", response={"status": "incomplete"}),
        text="Hi",
        stop=StopReason.MAX_TOKENS,
    ),
    "D197 items that were never added": Case(
        r.created()
        + r.event("response.reasoning_text.done", output_index=0, content_index=0, text="hm")
        + r.said(1, "Hi")
        + r.ended(),
        thinking="hm",
        text="Hi",
    ),
    "D197 the demanded object in the reasoning": Case(
        r.created()
        + r.event("response.reasoning_text.done", output_index=0, content_index=0, text='{"a": 1}\n')
        + r.ended(),
        thinking='{"a": 1}\n',
        text='{"a": 1}',
        wants_json=True,
    ),
    "D199 other ids at the end": Case(
        r.created() + r.added(0, **r.message()) + r.said(0, "Hi") + r.ended(output=[r.message("Hi", id="x")]),
        text="Hi",
    ),
    "D71 a call without name": Case(
        r.created()
        + r.said(0, "Hi")
        + r.added(1, **r.call(name=""))
        + r.done(1, **r.call(name="", arguments="{}"))
        + r.ended(),
        text="Hi",
        stop=None,
        broke="without naming it",
    ),
    "one id for two calls": Case(
        r.created()
        + r.done(0, **r.call("a", "f", arguments='{"a":1}'))
        + r.done(1, **r.call("a", "g", arguments='{"b":2}'))
        + r.ended(),
        calls=(A1, B2),
        stop=CALLED,
    ),
    "S19 no end": Case(r.created() + r.said(0, "Hi"), text="Hi", stop=None, broke=CUT),
    "S37 only finished text": Case(
        r.created()
        + r.event("response.output_text.done", output_index=0, content_index=0, text="Hi")
        + r.ended(),
        text="Hi",
    ),
    "S39 everything in the last response": Case(
        r.created() + r.ended(output=[r.message("Look"), WHOLE_CALL], usage=COUNTED),
        text="Look",
        calls=(A1,),
        stop=CALLED,
        usage=USED,
    ),
    "S40 names only in the event lines": Case(
        b'event: response.output_text.delta\ndata: {"output_index":0,"delta":"Hi"}\n\n'
        b'event: response.completed\ndata: {"response":{}}\n\n',
        text="Hi",
    ),
    "S42 the status counts": Case(
        r.created() + r.event("response.completed", response={"status": "cancelled"}),
        stop=None,
        broke="cancelled",
    ),
    "interleaved calls": Case(
        r.created()
        + r.added(0, **r.call("a", "f"))
        + r.added(1, **r.call("b", "g"))
        + r.arguments(1, '{"b":')
        + r.arguments(0, '{"a":1}')
        + r.arguments(1, "2}")
        + r.done(0, **r.call("a", "f", arguments='{"a":1}'))
        + r.done(1, **r.call("b", "g", arguments='{"b":2}'))
        + r.ended(),
        calls=(A1, B2),
        stop=CALLED,
    ),
    "a refusal": Case(
        r.created()
        + r.event("response.refusal.delta", output_index=0, content_index=0, delta="No")
        + r.done(0, type="message", content=[{"type": "refusal", "refusal": "No."}])
        + r.ended(),
        text="No.",
        stop=StopReason.REFUSAL,
        refused_in_words=True,
    ),
    "usage": Case(
        r.created() + r.said(0, "Hi") + r.ended(output=[r.message("Hi")], usage=COUNTED),
        text="Hi",
        usage=USED,
    ),
    "what follows the end": Case(
        r.created() + r.said(0, "Hi") + r.ended() + r.said(0, "!") + r.ended("failed") + b"data: [DONE]\n\n",
        text="Hi",
    ),
    "a call without name beside a valid one": Case(
        r.created()
        + r.done(0, **r.call("a", "", arguments='{"x":1}'))
        + r.done(1, **r.call("b", "g", arguments='{"b":2}'))
        + r.ended(),
        calls=(B2,),
        stop=CALLED,
        losses=("tool_calls",),
    ),
    "a call without name after a valid one": Case(
        r.created()
        + r.done(0, **r.call("a", "f", arguments='{"a":1}'))
        + r.added(1, **r.call("b", ""))
        + r.arguments(1, "{}")
        + r.done(1, **r.call("b", "", arguments="{}"))
        + r.ended(),
        calls=(A1,),
        stop=CALLED,
        losses=("tool_calls",),
    ),
    "a filter in capitals": Case(
        r.created()
        + r.said(0, "Hi")
        + r.ended("incomplete", incomplete_details={"reason": "CONTENT_FILTER"}),
        text="Hi",
        stop=StopReason.REFUSAL,
    ),
    "safety": Case(
        r.created() + r.said(0, "Hi") + r.ended("incomplete", incomplete_details={"reason": "safety"}),
        text="Hi",
        stop=StopReason.REFUSAL,
    ),
    "the limit in other words": Case(
        r.created() + r.said(0, "Hi") + r.ended("incomplete", incomplete_details={"reason": "MAX_TOKENS"}),
        text="Hi",
        stop=StopReason.MAX_TOKENS,
    ),
    "a character in two events": Case(
        r.created() + half(r.said(0, "a<") + r.said(0, ">b")) + r.ended(output=[r.message("a😀b")]),
        text="a😀b",
    ),
    "a character in two pieces of arguments": Case(
        r.created()
        + r.added(0, **r.call())
        + half(r.arguments(0, '{"a":"<') + r.arguments(0, '>"}'))
        + r.done(0, **r.call(arguments='{"a":"😀"}'))
        + r.ended(),
        calls=(("f", {"a": "😀"}),),
        stop=CALLED,
    ),
    "half a character": Case(
        r.created() + half(r.said(0, "a<") + r.said(0, "b")) + r.ended(), text="a\ufffdb", losses=("content",)
    ),
    "the same tokens read and written": Case(
        r.created()
        + r.said(0, "Hi")
        + r.ended(
            usage={
                "input_tokens": 2168,
                "input_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161},
                "output_tokens": 100,
                "total_tokens": 2268,
            }
        ),
        text="Hi",
        usage=(7, 2161, 100),
    ),
    "a second answer before the first is complete": Case(
        r.created() + r.said(0, "Hel") + r.created("resp_2") + r.said(0, "Hello") + r.ended(),
        text="Hel",
        stop=None,
        broke="second answer",
    ),
    "a second start before any content": Case(
        r.created() + r.created("resp_2") + r.said(0, "Hi") + r.ended(), text="Hi"
    ),
    "the start repeated": Case(
        r.created() + r.said(0, "H") + r.created() + r.said(0, "i") + r.ended(), text="Hi"
    ),
    "an unknown item": Case(
        r.created() + r.done(0, type="image_generation_call", result="x") + r.said(1, "Hi") + r.ended(),
        text="Hi",
        losses=("content.image_generation_call",),
    ),
    "an unknown part": Case(
        r.created()
        + r.said(0, "Hi")
        + r.done(0, type="message", content=[{"type": "output_text", "text": "Hi"}, {"type": "output_audio"}])
        + r.ended(),
        text="Hi",
        losses=("content.output_audio",),
    ),
    "an error without a message": Case(
        r.created() + r.said(0, "Hi") + r.event("error", code="server_error", message=None),
        text="Hi",
        stop=None,
        broke="without an explanation (server_error)",
    ),
    "a failure without a message": Case(
        r.created()
        + r.said(0, "Hi")
        + r.ended("failed", error={"code": "rate_limit_exceeded", "message": ""}),
        text="Hi",
        stop=None,
        broke="without an explanation (rate_limit_exceeded)",
        error=ErrorType.RATE_LIMIT,
    ),
}

CASES: dict[ProtocolName, dict[str, Case]] = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}
PAIRS = [
    pytest.param(upstream, name, client, id=f"{upstream} to {client}: {name}")
    for upstream, cases in CASES.items()
    for name, case in cases.items()
    for client in case.clients
]
LINE_SEPARATORS = re.compile(rb"\xe2\x80[\xa8\xa9]")
IDS = re.compile(rb"[0-9a-f]{24}")


def nameless(stream: bytes) -> bytes:
    """Without the ids, which are made up anew each time."""
    return IDS.sub(b"", stream)


def request_for(case: Case) -> neutral.Request:
    return neutral.Request(
        "asked",
        (neutral.Message("user", (neutral.Text("please"),)),),
        tools=case.tools,
        max_tokens=100,
        stop=case.stops,
        output_format=neutral.OutputFormat("json_schema", schema={"type": "object"})
        if case.wants_json
        else None,
        stream=True,
        include_usage=True,
    )


def converted(case: Case, upstream: ProtocolName, client: ProtocolName, size: int) -> bytes:
    request = request_for(case)
    sent = convert_request(request, CODECS[upstream], Target("told", "issuer", case.capabilities))
    stream = StreamConversion(CODECS[upstream], CODECS[client], sent, request)
    pieces = [case.stream[at : at + size] for at in range(0, len(case.stream), size)]
    out = b"".join(stream.feed(piece) for piece in pieces) + stream.close()
    assert tuple(loss.field for loss in stream.losses) == case.losses
    return out


def expected(case: Case, client: ProtocolName) -> Said:
    """In the words of this client."""
    at = ("messages", "chat", "responses").index(client)
    said = Said(case.text, case.thinking, case.calls)
    if client == "messages":
        calls = ((name, {"_raw": case.raw} if case.raw else given) for name, given in case.calls)
        said = replace(said, calls=tuple(calls))
    if case.stop is None:
        return replace(said, error=(ERRORS[case.error][at], case.broke))
    stop = ENDS[case.stop][at]
    if case.stop is StopReason.REFUSAL and client == "chat" and case.refused_in_words:
        stop = "stop"
    if case.stop is StopReason.REFUSAL and client == "responses" and case.refused_in_words:
        stop = "completed"
    return replace(said, stop=stop, sequence=case.sequence if client == "messages" else None)


@pytest.mark.parametrize(("upstream", "name", "client"), PAIRS)
def test_every_program_is_reported_what_was_meant(
    upstream: ProtocolName, name: str, client: ProtocolName
) -> None:
    case = CASES[upstream][name]
    out = converted(case, upstream, client, SIZES[0])
    CHECKS[client](records_of(out))
    said = said_to(client, out)
    usage = said.usage if case.usage is not None else None
    broke = case.broke if said.error and case.broke in said.error[1] else None
    error = (said.error[0], broke or said.error[1]) if said.error else None
    assert replace(said, usage=usage, error=error) == replace(expected(case, client), usage=case.usage)
    assert not LINE_SEPARATORS.search(out), "some programs end a line there"
    for size in SIZES[1:]:
        assert nameless(converted(case, upstream, client, size)) == nameless(out), f"in pieces of {size}"


@pytest.mark.parametrize(("upstream", "name", "client"), PAIRS)
def test_a_program_that_wants_no_stream_is_reported_the_same(
    upstream: ProtocolName, name: str, client: ProtocolName
) -> None:
    defect = CASES[upstream][name]
    request = replace(request_for(defect), stream=False)
    sent = convert_request(request, CODECS[upstream], Target("told", "issuer", defect.capabilities))
    whole = convert_response(CODECS[upstream], CODECS[client], defect.stream, sent, request)
    if defect.stop is None:
        assert whole.failed is not None and defect.broke in whole.failed.message
        assert whole.failed.type is defect.error
        return
    assert tuple(loss.field for loss in whole.losses) == defect.losses
    reply = fold(CODECS[client].decode_response(whole.body, SentRequest(b"", Target("asked", ""))))
    assert isinstance(reply, neutral.Response)
    # the words of a refusal stand in a Messages reply as its text, and once more beside its reason to stop
    spoken = neutral.Text if client == "messages" else neutral.Text | neutral.Refusal
    reported = [block.text for block in reply.content if isinstance(block, spoken)]
    thought = [block.text for block in reply.content if isinstance(block, neutral.Thinking)]
    calls = [(block.name, block.arguments) for block in reply.content if isinstance(block, neutral.ToolCall)]
    said = expected(defect, client)
    assert ("".join(reported), "".join(thought)) == (said.text, said.thinking)
    assert [(name, parsed(given)) for name, given in calls] == list(said.calls)
    assert stop_reported(client, msgspec.json.decode(whole.body)) == said.stop
    if defect.usage is not None:
        assert reply.usage is not None
        usage = reply.usage
        assert (usage.input, usage.cache_read, usage.output) == defect.usage


def stop_reported(client: ProtocolName, body: dict[str, Any]) -> str:
    match client:
        case "messages":
            stop = body["stop_reason"]
        case "chat":
            stop = body["choices"][0]["finish_reason"]
        case "responses":
            stop = (
                body["status"] if body["incomplete_details"] is None else body["incomplete_details"]["reason"]
            )
    assert isinstance(stop, str)
    return stop


# --- defects that take more than one look at what a program was told ------------

IN_PIECES = {
    "chat": (c.call(0, "t0", "f", '{"a":'), c.call(0, None, None, "1}")),
    "messages": (ms() + bs(0, "tool_use") + args(0, '{"a":'), args(0, "1}")),
    "responses": (r.created() + r.added(0, **r.call()) + r.arguments(0, '{"a":'), r.arguments(0, "1}")),
}


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_d22_arguments_are_reported_as_they_come(upstream: ProtocolName, client: ProtocolName) -> None:
    stream = between(upstream, client)
    first, second = (stream.feed(piece) for piece in IN_PIECES[upstream])
    assert rb'"{\"a\":"' in first and b'"1}"' in second


CUT_CALLS = {
    "chat": c.call(0, "t0", "f", '{"a":') + c.finish("length") + c.DONE,
    "messages": ms() + bs(0, "tool_use") + args(0, '{"a":') + be(0) + md("max_tokens", OUT) + MST,
    "responses": r.created()
    + r.added(0, **r.call())
    + r.arguments(0, '{"a":')
    + r.ended("incomplete", incomplete_details={"reason": "max_output_tokens"}),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_d20_d61_a_call_cut_at_the_limit_is_reported_as_far_as_it_came_and_never_as_done(
    upstream: ProtocolName, client: ProtocolName, size: int
) -> None:
    stream = between(upstream, client)
    sent = CUT_CALLS[upstream]
    out = b"".join(stream.feed(sent[at : at + size]) for at in range(0, len(sent), size))
    CHECKS[client](records_of(out))
    assert rb"{\"a\":" in out
    said = said_to(client, out)
    # Codex runs what is done, so here nothing is; the SDK for Messages makes an object of the beginning
    calls: dict[ProtocolName, tuple[Any, ...]] = {
        "messages": (("f", {}),),
        "chat": (("f", '{"a":'),),
        "responses": (),
    }
    assert (said.calls, said.stop) == (calls[client], ENDS[StopReason.MAX_TOKENS][PROTOCOLS.index(client)])


BLOCKS: list[tuple[ProtocolName, str, str]] = [
    ("chat", "D02 a name repeated in each chunk", "call"),
    ("chat", "D08 a late name", "call"),
    ("chat", "D10 an id on every delta", "call"),
    ("chat", "D11 empty lists of calls beside text", "text"),
    ("chat", "D16 nothing but a call", "call"),
    ("chat", "D17 a call after text", "text call"),
    ("chat", "D23 calls there and back", "call call"),
    ("chat", "D31 reasoning told twice", "thought"),
    ("chat", "D32 reasoning and text in one chunk", "thought text"),
    ("chat", "S24 reasoning between texts", "thought text thought text"),
    ("messages", "a start told twice", "call"),
    ("messages", "S43 no ends of blocks, no end, two starts", "text call"),
    ("responses", "D77 two summaries, one thought", "thought text"),
    ("responses", "D199 other ids at the end", "text"),
]
KINDS = {
    "text": "text",
    "thinking": "thought",
    "tool_use": "call",
    "message": "text",
    "reasoning": "thought",
    "function_call": "call",
}


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize(("upstream", "name", "blocks"), BLOCKS)
def test_blocks_are_neither_split_nor_made_up(
    upstream: ProtocolName, name: str, blocks: str, client: ProtocolName
) -> None:
    out = converted(CASES[upstream][name], upstream, client, 7)
    events = [msgspec.json.decode(record.data) for record in records_of(out)]
    begun = [event.get("content_block") or event.get("item") for event in events if event["type"] in OPENINGS]
    assert " ".join(KINDS[block["type"]] for block in begun) == blocks


OPENINGS = ("content_block_start", "response.output_item.added")


def test_d77_one_thought_has_one_signature_at_its_end() -> None:
    out = between("responses", "messages").feed(RESPONSES["D77 two summaries, one thought"].stream)
    assert out.count(b'"signature_delta"') == 1
    assert out.count(b'"type":"thinking"') == 1


def test_d100_redacted_thinking_is_carried_only_where_it_finds_its_way_back() -> None:
    redacted = MESSAGES["D100 redacted thinking"].stream
    assert b'"reasoning' not in between("messages", "chat").feed(redacted).partition(b'"usage":{')[0]
    (item,) = (
        event["item"]
        for event in map(
            msgspec.json.decode, (x.data for x in records_of(between("messages", "responses").feed(redacted)))
        )
        if event["type"] == "response.output_item.done" and event["item"]["type"] == "reasoning"
    )
    carried = carrier.unpack(item["encrypted_content"])
    assert item["summary"] == [] and carried is not None and carried.issuer == "issuer"


BEGUN = {
    "chat": c.text("Hi"),
    "messages": ms() + bs(0, "text") + bd(0, "Hi"),
    "responses": r.created() + r.added(0, **r.message()) + r.said(0, "Hi"),
}


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_d25_a_connection_that_broke_is_reported_in_a_known_form(
    upstream: ProtocolName, client: ProtocolName
) -> None:
    stream = between(upstream, client)
    out = stream.feed(BEGUN[upstream])
    assert stream.break_forgiven() == b"" and not stream.finished
    out += stream.break_off(neutral.WireError(ErrorType.SERVER, "the connection broke", 502))
    CHECKS[client](records_of(out))
    said = said_to(client, out)
    at = PROTOCOLS.index(client)
    assert (said.text, said.stop) == ("Hi", None)
    assert said.error == (ERRORS[ErrorType.SERVER][at], "the connection broke")


WITHOUT_USAGE = {
    "chat": c.text("Hello there") + END,
    "messages": ms(None) + bs(0, "text") + bd(0, "Hello there") + be(0) + md("end_turn") + MST,
    "responses": r.created() + r.said(0, "Hello there") + r.ended(),
}


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_d46_usage_that_nobody_reported_is_estimated(upstream: ProtocolName, client: ProtocolName) -> None:
    stream = between(upstream, client)
    out = stream.feed(WITHOUT_USAGE[upstream])
    CHECKS[client](records_of(out))
    usage = said_to(client, out).usage
    assert usage is not None and usage[0] > 0 and usage[2] > 0
    assert stream.usage is not None and stream.usage.estimated


@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_d95_usage_is_reported_to_a_chat_client_only_if_it_asked(upstream: ProtocolName) -> None:
    stream = between(upstream, "chat", include_usage=False)
    out = stream.feed(WITHOUT_USAGE[upstream])
    check_chat_stream(records_of(out), include_usage=False)
    assert b'"usage"' not in out and said_to("chat", out).text == "Hello there"


SEARCHED = {
    "chat": c.text("Hi")
    + c.delta(annotations=[{"type": "url_citation", "url_citation": {"url": "https://x", "title": "X"}}])
    + END,
    "messages": ms()
    + bs(0, "server_tool_use", id="srvtoolu_1", name="web_search", input={"query": "q"})
    + be(0)
    + bs(
        1,
        "web_search_tool_result",
        tool_use_id="srvtoolu_1",
        content=[{"type": "web_search_result", "url": "https://x", "title": "X", "encrypted_content": "e"}],
    )
    + be(1)
    + bs(2, "text")
    + bd(2, "Hi")
    + bd(2, {"type": "web_search_result_location", "url": "https://x", "title": "X"}, "citations_delta")
    + be(2)
    + DONE,
    "responses": r.created()
    + r.done(
        0,
        type="web_search_call",
        id="ws_1",
        action={"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://x"}]},
    )
    + r.said(1, "Hi")
    + r.event(
        "response.output_text.annotation.added",
        output_index=1,
        annotation={"type": "url_citation", "url": "https://x", "title": "X"},
    )
    + r.ended(),
}


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_d89_a_search_of_the_upstream_and_its_sources_are_reported(
    upstream: ProtocolName, client: ProtocolName
) -> None:
    stream = between(upstream, client, hosted_tools=(neutral.HostedTool("web_search"),))
    out = b"".join(stream.feed(SEARCHED[upstream][at : at + 1]) for at in range(len(SEARCHED[upstream])))
    CHECKS[client](records_of(out))
    assert said_to(client, out).text == "Hi"
    source = {
        "messages": b'"web_search_result_location"',
        "chat": b'"url_citation"',
        "responses": b'"url_citation"',
    }
    assert source[client] in out and b"https://x" in out
    blocks = {"messages": b'"web_search_tool_result"', "chat": b"", "responses": b'"web_search_call"'}
    assert blocks[client] in out or upstream == "chat"


def test_d169_a_line_of_five_megabytes_is_one_record() -> None:
    words = "x" * 5_000_000
    streams: dict[ProtocolName, bytes] = {
        "chat": c.text(words),
        "messages": ms() + bs(0, "text") + bd(0, words),
        "responses": r.created() + r.added(0, **r.message()) + r.said(0, words),
    }
    for upstream, begun in streams.items():
        stream = between(upstream, "messages" if upstream == "chat" else "chat")
        out = b"".join(stream.feed(begun[at : at + 65536]) for at in range(0, len(begun), 65536))
        assert words.encode() in out


@pytest.mark.parametrize(("upstream", "name", "client"), PAIRS)
def test_d172_keep_alives_between_any_two_pieces_change_nothing(
    upstream: ProtocolName, name: str, client: ProtocolName
) -> None:
    defect = CASES[upstream][name]
    request = request_for(defect)
    sent = convert_request(request, CODECS[upstream], Target("told", "issuer", defect.capabilities))
    stream = StreamConversion(CODECS[upstream], CODECS[client], sent, request)
    out = stream.keep_alive()
    for at in range(0, len(defect.stream), 40):
        out += stream.feed(defect.stream[at : at + 40])
        out += stream.keep_alive() if stream.owes_an_end else b""
    out += stream.close()
    CHECKS[client](records_of(out))
    said = said_to(client, out)
    wanted = expected(defect, client)
    assert (said.text, said.thinking, said.calls, said.stop) == (
        wanted.text,
        wanted.thinking,
        wanted.calls,
        wanted.stop,
    )


def between(upstream: ProtocolName, client: ProtocolName, **more: Any) -> StreamConversion:
    request = replace(request_for(Case(b"")), **more)
    sent = convert_request(request, CODECS[upstream], Target("told", "issuer"))
    return StreamConversion(CODECS[upstream], CODECS[client], sent, request)

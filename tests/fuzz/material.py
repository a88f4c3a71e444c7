"""Input for the fuzz tests: valid bodies with one error, unusual JSON, and arbitrary bytes.

`FUZZ_EXAMPLES=20000 pytest tests/fuzz` runs long; without it, a few seconds.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from switchyard.protocols.names import ProtocolName
from tests.bed import wire

Json = Any
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
fuzzed = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))

WORDS = """
type role content text model messages input tools tool_calls tool_use tool_result function function_call custom
function_call_output custom_tool_call arguments name id call_id system thinking reasoning signature source data
media_type base64 url image image_url input_image input_text output_text document file_data cache_control
tool_choice auto any none metadata user_id stop usage choices delta index output item response error message code
summary encrypted_content refusal finish_reason stop_reason input_tokens output_tokens prompt_tokens user assistant
developer parallel_tool_calls stream stream_options include_usage max_tokens response_format json_schema schema
strict parameters format partial_json input_json_delta text_delta content_block_delta message_start citations
""".split()

leaves = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 10**40, 0.5, -1e300, 1e18])
    | st.text(max_size=8)
    | st.sampled_from(
        [*WORDS, "", " ", "\x00", "\u2028", "\U0001f600", "data:image/png;base64,", "{", "[1", "%s", "*"]
    )
)
values: st.SearchStrategy[Json] = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


def places(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(value: Json, path: tuple[str | int, ...], new: Json) -> Json:
    """The same value with something else at this position."""
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


@st.composite
def damaged(draw: st.DrawFn, sound: list[Json]) -> Json:
    """A valid value with up to three parts replaced."""
    value = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(0, 3))):
        value = changed(value, draw(st.sampled_from(list(places(value)))), draw(values))
    return value


def octets(documents: st.SearchStrategy[Json]) -> st.SearchStrategy[bytes]:
    """As JSON, sometimes with damaged bytes."""
    whole = documents.map(lambda value: json.dumps(value).encode())
    utf8 = documents.map(lambda value: json.dumps(value, ensure_ascii=False).encode())
    return whole | utf8 | _torn(whole) | st.binary(max_size=60)


@st.composite
def _torn(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    body = draw(whole)
    at = draw(st.integers(0, len(body)))
    return body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 3)) :]


def nested(depth: int) -> Json:
    value: Json = 1
    for level in range(depth):
        value = [value] if level % 2 else {"properties": value}
    return value


@contextmanager
def quickly(seconds: float = 5.0) -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


def grows_linearly(work: Callable[[int], object], size: int) -> None:
    """Four times the input may not take much more than four times as long."""
    work(size)
    small, large = (min(_seconds(work, n) for _ in range(3)) for n in (size, 4 * size))
    assert large < 12 * small + 0.1, (small, large)


def _seconds(work: Callable[[int], object], size: int) -> float:
    began = time.process_time()
    work(size)
    return time.process_time() - began


# --- sound bodies ----------------------------------------------------------------

SCHEMA: Json = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
PNG = "iVBORw0KGgo="

REQUESTS: dict[ProtocolName, list[Json]] = {
    "messages": [
        {
            "model": "m",
            "max_tokens": 100,
            "stream": True,
            "system": [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "tools": [
                {"name": "read", "description": "d", "input_schema": SCHEMA},
                {"type": "web_search_20250305", "name": "web_search"},
            ],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "metadata": {"user_id": '{"session_id": "s"}'},
            "stop_sequences": ["END"],
            "messages": [
                {"role": "user", "content": "Hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                        {"type": "text", "text": "Reading"},
                        {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": [{"type": "text", "text": "b"}],
                        },
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                        {"type": "document", "source": {"type": "url", "url": "https://h/x.pdf"}},
                    ],
                },
            ],
        }
    ],
    "chat": [
        {
            "model": "m",
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [{"type": "function", "function": {"name": "read", "parameters": SCHEMA}}],
            "tool_choice": {"type": "function", "function": {"name": "read"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
            "stop": ["END"],
            "reasoning_effort": "low",
            "messages": [
                {"role": "system", "content": "Be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Hi"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "hm",
                    "tool_calls": [
                        {
                            "id": "t1",
                            "type": "function",
                            "function": {"name": "read", "arguments": '{"path": "a"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "t1", "content": "b"},
            ],
        }
    ],
    "responses": [
        {
            "model": "m",
            "stream": True,
            "store": False,
            "instructions": "Be brief",
            "prompt_cache_key": "s",
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}},
            "tools": [
                {"type": "function", "name": "read", "parameters": SCHEMA},
                {
                    "type": "custom",
                    "name": "patch",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
                },
                {
                    "type": "namespace",
                    "name": "ns",
                    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
                },
                {"type": "web_search"},
            ],
            "tool_choice": "auto",
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Hi"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                    ],
                },
                {
                    "type": "reasoning",
                    "id": "r",
                    "summary": [{"type": "summary_text", "text": "hm"}],
                    "encrypted_content": "c2ln",
                },
                {"type": "function_call", "call_id": "t1", "name": "read", "arguments": '{"path": "a"}'},
                {"type": "function_call_output", "call_id": "t1", "output": "b"},
                {"type": "custom_tool_call", "call_id": "t2", "name": "patch", "input": "*** Begin"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "t2",
                    "output": [{"type": "input_text", "text": "ok"}],
                },
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Done", "annotations": []}],
                },
            ],
        }
    ],
}

REPLY = wire.Reply("An answer", thinking="hm", calls=(wire.Call("read", {"path": "a"}),))


def answers(protocol: ProtocolName) -> list[Json]:
    return [json.loads(wire.body(protocol, REPLY))]


def records(protocol: ProtocolName) -> list[Json]:
    """The JSON of each event of a valid stream."""
    sent = b"".join(wire.records(protocol, REPLY)).decode()
    data = [line[6:] for line in sent.splitlines() if line.startswith("data: ")]
    return [json.loads(one) for one in data if one != "[DONE]"]

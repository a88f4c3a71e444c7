"""Requests in each pair of protocols, against a small model written from docs/conversion.md and the specifications.

Unlike the round trips of `test_nine_pairs.py`, nothing here is written or read by a codec but the conversion itself.
"""

import json
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from tests.bed.examples import modelled_in_part

PAIRS = [(client, upstream) for client in PROTOCOLS for upstream in PROTOCOLS if client != upstream]
NO_RESULT = "(no result recorded)"
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
Json = dict[str, Any]


class Call(NamedTuple):
    id: str
    arguments: Json
    result: str | None
    has_failed: bool
    """only Messages clients state it"""


class Turn(NamedTuple):
    """What the user says, then what the model says and calls; the results follow before the next turn."""

    user: str
    model: str
    calls: tuple[Call, ...]


class Asked(NamedTuple):
    system: str
    turns: tuple[Turn, ...]
    last: str
    choice: str | None
    """auto, required, none, named"""
    parallel: bool
    stop: tuple[str, ...]
    temperature: float | None
    most_tokens: int

    @property
    def tools(self) -> list[str]:
        return ["read", "write"]


Step = tuple[str, str]
"""(what, words): system, user, model, call ID, result ID"""


# --- requests as clients write them -------------------------------------------------------


def messages_body(asked: Asked) -> Json:
    messages: list[Json] = []
    for turn in asked.turns:
        messages.append({"role": "user", "content": turn.user})
        blocks: list[Json] = [{"type": "text", "text": turn.model}] if turn.model else []
        blocks += [
            {"type": "tool_use", "id": call.id, "name": "read", "input": call.arguments}
            for call in turn.calls
        ]
        messages.append({"role": "assistant", "content": blocks})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call.id,
                "content": call.result,
                "is_error": call.has_failed,
            }
            for call in turn.calls
            if call.result is not None
        ]
        if results:
            messages.append({"role": "user", "content": results})
    messages.append({"role": "user", "content": [{"type": "text", "text": asked.last}]})
    body: Json = {
        "model": "m",
        "max_tokens": asked.most_tokens,
        "messages": messages,
        "tools": [{"name": name, "description": "A tool.", "input_schema": SCHEMA} for name in asked.tools],
        "stop_sequences": list(asked.stop),
    }
    if asked.system:
        body["system"] = [{"type": "text", "text": asked.system}]
    if asked.temperature is not None:
        body["temperature"] = asked.temperature
    choices = {"auto": "auto", "required": "any", "none": "none", "named": "tool", None: "auto"}
    if asked.choice or not asked.parallel:
        choice: Json = {"type": choices[asked.choice]} | (
            {"name": "write"} if asked.choice == "named" else {}
        )
        if not asked.parallel and asked.choice != "none":
            choice["disable_parallel_tool_use"] = True
        body["tool_choice"] = choice
    return body


def openai_options(asked: Asked, named: Json) -> Json:
    body: Json = {"model": "m"}
    if asked.temperature is not None:
        body["temperature"] = asked.temperature
    if asked.choice:
        body["tool_choice"] = named if asked.choice == "named" else asked.choice
    if not asked.parallel:
        body["parallel_tool_calls"] = False
    return body


def chat_body(asked: Asked) -> Json:
    messages: list[Json] = [{"role": "system", "content": asked.system}] if asked.system else []
    for turn in asked.turns:
        messages.append({"role": "user", "content": turn.user})
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": "read", "arguments": json.dumps(call.arguments)},
            }
            for call in turn.calls
        ]
        message: Json = {"role": "assistant", "content": turn.model or None}
        messages.append(message | ({"tool_calls": calls} if calls else {}))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": call.result}
            for call in turn.calls
            if call.result is not None
        ]
    messages.append({"role": "user", "content": [{"type": "text", "text": asked.last}]})
    tools = [
        {"type": "function", "function": {"name": name, "description": "A tool.", "parameters": SCHEMA}}
        for name in asked.tools
    ]
    more = {"messages": messages, "tools": tools, "max_completion_tokens": asked.most_tokens}
    stop = {"stop": list(asked.stop)} if asked.stop else {}
    return openai_options(asked, {"type": "function", "function": {"name": "write"}}) | more | stop


def responses_body(asked: Asked) -> Json:
    items: list[Json] = []
    for turn in asked.turns:
        items.append({"type": "message", "role": "user", "content": turn.user})
        if turn.model:
            part = {"type": "output_text", "text": turn.model, "annotations": []}
            items.append({"type": "message", "role": "assistant", "content": [part]})
        items += [
            {
                "type": "function_call",
                "call_id": call.id,
                "name": "read",
                "arguments": json.dumps(call.arguments),
            }
            for call in turn.calls
        ]
        items += [
            {"type": "function_call_output", "call_id": call.id, "output": call.result}
            for call in turn.calls
            if call.result is not None
        ]
    items.append({"role": "user", "content": [{"type": "input_text", "text": asked.last}]})
    tools = [
        {"type": "function", "name": name, "description": "A tool.", "parameters": SCHEMA}
        for name in asked.tools
    ]
    more = {"input": items, "tools": tools, "max_output_tokens": asked.most_tokens}
    instructions = {"instructions": asked.system} if asked.system else {}
    return openai_options(asked, {"type": "function", "name": "write"}) | more | instructions


# --- requests as upstreams read them --------------------------------------------------------


def text_of(content: Any) -> str:
    """The text of a message, of parts or of a tool result."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part["text"] for part in content)


def read_messages(body: Json) -> list[Step]:
    steps: list[Step] = [("system", text_of(body.get("system")))]
    roles = [message["role"] for message in body["messages"]]
    assert all(one != other for one, other in pairwise(roles)), "roles take turns"
    assert roles[0] == "user"
    for message in body["messages"]:
        blocks = message["content"]
        for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks:
            match block["type"]:
                case "text":
                    steps.append(("user" if message["role"] == "user" else "model", block["text"]))
                case "tool_use":
                    steps.append((f"call {block['id']}", json.dumps(block["input"])))
                case "tool_result":
                    steps.append((f"result {block['tool_use_id']}", text_of(block.get("content"))))
    return steps


def read_chat(body: Json) -> list[Step]:
    steps: list[Step] = []
    for message in body["messages"]:
        match message["role"]:
            case "tool":
                steps.append((f"result {message['tool_call_id']}", text_of(message["content"])))
            case "assistant":
                steps.append(("model", text_of(message.get("content"))))
                for call in message.get("tool_calls") or []:
                    steps.append((f"call {call['id']}", call["function"]["arguments"]))
            case role:
                steps.append(("user" if role == "user" else "system", text_of(message["content"])))
    return steps


def read_responses(body: Json) -> list[Step]:
    steps: list[Step] = [("system", body.get("instructions") or "")]
    for item in body["input"]:
        match item.get("type", "message"):
            case "function_call":
                steps.append((f"call {item['call_id']}", item["arguments"]))
            case "function_call_output":
                steps.append((f"result {item['call_id']}", text_of(item["output"])))
            case _:
                steps.append(({"user": "user", "assistant": "model"}[item["role"]], text_of(item["content"])))
    return steps


def options_of(upstream: ProtocolName, body: Json) -> Json:
    """The choice of tools, parallel calls, limits: in the words of `Asked`."""
    choice = body.get("tool_choice")
    if upstream == "messages":
        kinds = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}
        kind = kinds[choice["type"]] if choice else None
        name = choice.get("name") if choice else None
        parallel = not (choice or {}).get("disable_parallel_tool_use", False)
        most, stop = body["max_tokens"], body.get("stop_sequences", [])
    else:
        named = choice if isinstance(choice, dict) else None
        kind = "named" if named else choice
        name = named.get("function", named)["name"] if named else None
        parallel = body.get("parallel_tool_calls", True)
        most = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
        stop = body.get("stop", [])
    return {
        "choice": kind or "auto",
        "name": name,
        "parallel": parallel,
        "most": most,
        "stop": list(stop),
        "temperature": body.get("temperature"),
    }


WRITE = {"messages": messages_body, "chat": chat_body, "responses": responses_body}
READ = {"messages": read_messages, "chat": read_chat, "responses": read_responses}


# --- the model ------------------------------------------------------------------------------


def expected_steps(asked: Asked, client: ProtocolName, upstream: ProtocolName) -> list[Step]:
    """Everything in its order; each result directly after the calls, in their order."""
    steps: list[Step] = [("system", asked.system)]
    for turn in asked.turns:
        steps += [("user", turn.user), ("model", turn.model)]
        steps += [(f"call {call.id}", json.dumps(call.arguments)) for call in turn.calls]
        steps += [(f"result {call.id}", expected_result(call, client, upstream)) for call in turn.calls]
    return [*steps, ("user", asked.last)]


def expected_result(call: Call, client: ProtocolName, upstream: ProtocolName) -> str:
    """A call without a result gets words; that of a failed call begins with `Error` where there is no flag for it."""
    has_flag = upstream == "messages"
    if call.result is None:
        return NO_RESULT if has_flag else f"Error: {NO_RESULT}"
    is_marked = client == "messages" and call.has_failed and not has_flag
    return f"Error: {call.result}" if is_marked else call.result


def told(steps: list[Step]) -> list[Step]:
    """Neighbouring texts of one side are one, whatever stands between them; nothing is said by an empty one."""
    found: list[Step] = []
    for what, words in steps:
        words = json.dumps(json.loads(words)) if what.startswith("call") else " ".join(words.split())
        if not words and not what.startswith("result"):
            continue
        if found and found[-1][0] == what:
            found[-1] = (what, f"{found[-1][1]} {words}")
        else:
            found.append((what, words))
    return found


def expected_options(asked: Asked, upstream: ProtocolName) -> Json:
    temperature = asked.temperature
    if temperature is not None and upstream == "messages":
        temperature = min(temperature, 1.0)
    return {
        "choice": asked.choice or "auto",
        "name": "write" if asked.choice == "named" else None,
        "parallel": asked.parallel,
        "most": asked.most_tokens,
        "stop": [] if upstream == "responses" else list(asked.stop),
        "temperature": temperature,
    }


WORDS = st.sampled_from(["Hello", "你好 world", "Go on", "Read it"])


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    turns, number = [], 0
    for _ in range(draw(st.integers(0, 3))):
        calls = []
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            arguments = draw(
                st.dictionaries(st.sampled_from(["path", "n"]), st.sampled_from(["a", 2**60, []]))
            )
            result = draw(st.none() | st.sampled_from(["done", "no such file"]))
            failed = result is not None and draw(st.booleans())
            calls.append(Call(f"call_{number}", arguments, result, failed))
        turns.append(Turn(draw(WORDS), draw(WORDS) if not calls or draw(st.booleans()) else "", tuple(calls)))
    return Asked(
        system=draw(st.sampled_from(["", "Be brief."])),
        turns=tuple(turns),
        last=draw(WORDS),
        choice=draw(st.sampled_from([None, "auto", "required", "none", "named"])),
        parallel=draw(st.booleans()),
        stop=tuple(draw(st.lists(st.sampled_from(["END", "STOP", "###"]), max_size=3, unique=True))),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.5, 1.0, 1.5])),
        most_tokens=draw(st.integers(16, 4000)),
    )


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(asked=requests())
@modelled_in_part
def test_an_upstream_is_asked_what_the_client_has_asked(
    client: ProtocolName, upstream: ProtocolName, asked: Asked
) -> None:
    if client == "messages" and asked.temperature is not None:
        asked = asked._replace(temperature=min(asked.temperature, 1.0))
    if client == "responses":
        asked = asked._replace(stop=())
    if asked.choice == "none" and "messages" in (client, upstream):
        asked = asked._replace(parallel=True)
    sent = sent_by(client, upstream, asked)
    body = json.loads(sent.body)

    assert told(READ[upstream](body)) == told(expected_steps(asked, client, upstream))
    assert options_of(upstream, body) == expected_options(asked, upstream)
    assert sent.stops == (asked.stop if upstream == "responses" else ())


def sent_by(client: ProtocolName, upstream: ProtocolName, asked: Asked) -> SentRequest:
    request = CODECS[client].decode_request(json.dumps(WRITE[client](asked)).encode())
    return convert_request(request, CODECS[upstream], Target("m", "issuer"))

"""Responses requests that pass through: changed only where they would be refused."""

import copy
from typing import Any

import pytest

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.content import SUMMARY_HEADING
from tests.protocols.repair.repairing import repair_request

NATIVE = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "opaque"}
USER = {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}
CUSTOM = {"type": "custom", "name": "apply_patch", "description": "d"}
BODY: dict[str, Any] = {
    "model": "m",
    "input": [
        {"role": "developer", "content": "D"},
        USER,
        NATIVE,
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "raw"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ],
    "tools": [CUSTOM, {"type": "web_search"}],
    "reasoning": {"effort": "xhigh", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "s",
    "metadata": {"a": "b"},
    "temperature": 1,
}


def carried(kind: Any, issuer: str, payload: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": carrier.pack(kind, issuer, payload)}


def repaired(capabilities: Capabilities, **fields: Any) -> tuple[bool, dict[str, Any]]:
    body = {**copy.deepcopy(BODY), **fields}
    return repair_request("responses", body, Target("m", "gpt", capabilities)), body


def test_what_is_not_refused_stays_as_it_is() -> None:
    assert repaired(Capabilities()) == (False, BODY)


def test_a_longer_answer_than_it_gives_is_not_asked_for() -> None:
    can = Capabilities(max_output_tokens=5000)
    assert repaired(can, max_output_tokens=9000) == (True, {**BODY, "max_output_tokens": 5000})
    assert repaired(can, max_output_tokens=4000) == (False, {**BODY, "max_output_tokens": 4000})


@pytest.mark.parametrize(("stream", "kept"), [(False, False), (None, False), (True, True)])
def test_an_answer_that_could_not_be_fetched_later_is_requested_at_once(
    stream: bool | None, kept: bool
) -> None:
    background = {"background": True} if kept else {}
    assert repaired(Capabilities(), background=True, stream=stream) == (
        not kept,
        {**BODY, "stream": stream, **background},
    )


REASONING: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    (carried("reasoning", "gpt", NATIVE), [NATIVE]),
    (carried("reasoning", "other", NATIVE), []),
    (carried("thinking", "claude", {"text": "t", "signature": "SIG"}), []),
    (carried("text", "gpt", {"text": "t"}), []),
    (
        {"type": "compaction", "encrypted_content": carrier.pack("summary", "", {"text": "S"})},
        [{"role": "user", "content": [{"type": "input_text", "text": f"{SUMMARY_HEADING}\n\nS"}]}],
    ),
]


@pytest.mark.parametrize(("item", "expected"), REASONING)
def test_carriers_go_back_to_their_issuer_alone(item: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    changed, body = repaired(Capabilities(), input=[USER, item, USER])
    assert (changed, body["input"]) == (True, [USER, *expected, USER])


def from_agent(**part: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": "NEW_TASK"}, part]
    return {"type": "agent_message", "author": "/lead", "recipient": "/lead/kid", "content": content}


def from_user(text: str) -> dict[str, Any]:
    words = ("NEW_TASK", text)
    parts = [{"type": "input_text", "text": word} for word in words]
    return {"type": "message", "role": "user", "content": parts}


PLAIN = from_agent(type="input_text", text="ALPHA")
NAMED_ENCRYPTED = from_agent(type="encrypted_content", encrypted_content="ALPHA")
ENCRYPTED = from_agent(type="encrypted_content", encrypted_content="gAAAAABo")
AGENTS = [
    (Capabilities(), NAMED_ENCRYPTED, from_user("ALPHA")),
    (Capabilities(), PLAIN, from_user("ALPHA")),
    (Capabilities(), ENCRYPTED, ENCRYPTED),
    (Capabilities(compaction=True), NAMED_ENCRYPTED, from_user("ALPHA")),
    (Capabilities(compaction=True), PLAIN, PLAIN),
    (Capabilities(compaction=True), ENCRYPTED, ENCRYPTED),
]


@pytest.mark.parametrize(("capabilities", "item", "expected"), AGENTS)
def test_messages_between_agents_are_sent_in_a_form_that_the_upstream_can_read(
    capabilities: Capabilities, item: dict[str, Any], expected: dict[str, Any]
) -> None:
    changed, body = repaired(capabilities, input=[USER, item, USER])
    assert (changed, body["input"]) == (item != expected, [USER, expected, USER])


REPAIRS: list[tuple[Capabilities, dict[str, Any]]] = [
    (Capabilities(dropped_fields=("metadata", "store")), {"metadata": None}),
    (Capabilities(openai_extras=False), {"metadata": None}),
    (Capabilities(prompt_cache_key=False), {"prompt_cache_key": None}),
    (Capabilities(sampling=False), {"temperature": None}),
    (Capabilities(hosted_web_search=False), {"tools": [CUSTOM]}),
    (Capabilities(efforts=("low", "high")), {"reasoning": {"effort": "high", "summary": "auto"}}),
    (Capabilities(reasoning_effort="none"), {"reasoning": None, "include": []}),
    (Capabilities(developer_role=False), {"input": [{"role": "system", "content": "D"}, *BODY["input"][1:]]}),
]


@pytest.mark.parametrize(("capabilities", "changes"), REPAIRS)
def test_only_what_would_be_refused_is_changed(capabilities: Capabilities, changes: dict[str, Any]) -> None:
    expected = {name: value for name, value in {**BODY, **changes}.items() if value is not None}
    assert repaired(capabilities) == (True, expected)


def test_images_are_replaced_for_a_model_that_reads_none() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    note = {"type": "input_text", "text": "[image omitted: the model reads no images]"}
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, image]},
        {"type": "function_call_output", "call_id": "c", "output": [image]},
    ]
    _, body = repaired(Capabilities(images=False), input=items)
    assert body["input"] == [
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, note]},
        {"type": "function_call_output", "call_id": "c", "output": [note]},
    ]

"""What the messages of a conversation change as they go, for upstreams of the other protocols."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.names import ProtocolName
from tests.protocols.test_nine_pairs import CHECK_REQUEST

Body = dict[str, Any]

OTHERS: tuple[ProtocolName, ...] = ("chat", "responses")
USER = {"role": "user", "content": "Hello"}
READ = {"name": "read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}
NEW = {**READ, "name": "mcp__new__tool"}
JOINED = {"type": "text", "text": "joined"}


def system(*content: Body, **members: Any) -> Body:
    return {"role": "system", "content": list(content), **members}


def addition(**tool: Any) -> Body:
    return {"type": "tool_addition", "tool": tool}


def definition(tool: Body) -> Body:
    return addition(type="tool_definition", definition=tool)


def reference(name: str) -> Body:
    return addition(type="tool_reference", name=name)


def removal(name: str) -> Body:
    return {"type": "tool_removal", "tool": {"type": "tool_reference", "name": name}}


def sent(
    upstream: ProtocolName, *messages: Body, mid_system: bool = True, **fields: Any
) -> tuple[Body, SentRequest, list[str]]:
    """What the upstream gets, checked as its own service would, and the fields that are lost."""
    body = msgspec.json.encode({"model": "m", "max_tokens": 99, "messages": messages, **fields})
    request = CODECS["messages"].decode_request(body)
    target = Target("m", "issuer", Capabilities(mid_system=mid_system))
    converted = convert_request(request, CODECS[upstream], target)
    encoded = msgspec.json.decode(converted.body)
    CHECK_REQUEST[upstream](encoded)
    return encoded, converted, [loss.field for loss in (*request.losses, *converted.losses)]


def names_in(body: Body) -> list[str]:
    return [
        tool["function"]["name"] if "function" in tool else tool["name"] for tool in body.get("tools", ())
    ]


def turns_of(body: Body) -> list[tuple[str, str]]:
    """Roles and texts."""
    items = body.get("messages") or body["input"]
    return [(item["role"], words_in(item["content"])) for item in items if "role" in item]


def words_in(content: Any) -> str:
    return content if isinstance(content, str) else "|".join(part["text"] for part in content)


# --- tools --------------------------------------------------------------------------

CHANGES: dict[str, tuple[list[Body], list[str]]] = {
    "a reference to a declared tool": ([JOINED, reference("read")], ["read"]),
    "a reference to a tool that is not declared": ([JOINED, reference("mcp__new__tool")], ["read"]),
    "a reference to a tool of a server": (
        [JOINED, addition(type="mcp_tool_reference", server_name="s", name="t")],
        ["read"],
    ),
    "a definition": ([JOINED, definition(NEW)], ["read", "mcp__new__tool"]),
    "a definition of a vendor's tool": (
        [definition({"type": "bash_20250124", "name": "bash"})],
        ["read", "bash"],
    ),
    "a removal": ([JOINED, removal("read")], []),
    "a removal of what is not there": ([removal("write")], ["read"]),
    "a removal and its return": ([removal("read"), reference("read")], ["read"]),
    "a definition, its removal and its return": (
        [definition(NEW), removal("mcp__new__tool"), reference("mcp__new__tool")],
        ["read", "mcp__new__tool"],
    ),
}


@pytest.mark.parametrize("upstream", OTHERS)
@pytest.mark.parametrize("mid_system", [True, False])
@pytest.mark.parametrize(("blocks", "names"), CHANGES.values(), ids=CHANGES)
def test_messages_change_the_tools_and_are_never_refused(
    upstream: ProtocolName, mid_system: bool, blocks: list[Body], names: list[str]
) -> None:
    body, _, lost = sent(upstream, USER, system(*blocks), tools=[READ], mid_system=mid_system)
    assert (names_in(body), lost) == (names, [])
    assert ("joined" in str(turns_of(body))) is (JOINED in blocks)


@pytest.mark.parametrize("upstream", OTHERS)
def test_a_definition_replaces_the_tool_of_its_name(upstream: ProtocolName) -> None:
    body, converted, _ = sent(
        upstream, USER, system(definition({**READ, "description": "Now."})), tools=[READ]
    )
    assert names_in(body) == ["read"] and b"Now." in converted.body and b"Reads." not in converted.body


@pytest.mark.parametrize("upstream", OTHERS)
@pytest.mark.parametrize(
    "block",
    [
        {"type": "from_the_future", "text": "?"},
        definition({"type": "computer_20250124", "name": "computer"}),
        definition({"type": "mcp_toolset", "mcp_server_name": "s"}),
        definition({"description": "nameless"}),
    ],
)
def test_what_cannot_be_added_is_a_loss_and_no_error_for_the_rest_of_the_session(
    upstream: ProtocolName, block: Body
) -> None:
    body, _, lost = sent(upstream, USER, system(JOINED, block), tools=[READ])
    assert (names_in(body), lost) == (["read"], ["messages.1.content.1"])


@pytest.mark.parametrize("upstream", OTHERS)
def test_a_tool_that_was_added_and_called_goes_on(upstream: ProtocolName) -> None:
    call = {"type": "tool_use", "id": "t1", "name": NEW["name"], "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
    body, _, lost = sent(
        upstream,
        USER,
        system(definition(NEW)),
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    )
    assert (names_in(body), lost) == (["mcp__new__tool"], [])


PLACEHOLDER = {
    "name": "DeferredToolPlaceholder",
    "description": "Reserved placeholder that keeps deferred tool loading active; never call this tool.",
    "input_schema": {"type": "object", "properties": {}},
    "defer_loading": True,
}


@pytest.mark.parametrize("upstream", OTHERS)
@pytest.mark.parametrize(
    ("tool", "is_declared"),
    [
        (PLACEHOLDER, False),
        ({**PLACEHOLDER, "name": "Other", "description": "Never call it.", "input_schema": {}}, False),
        ({**PLACEHOLDER, "defer_loading": False}, True),
        ({**READ, "name": "deferred", "defer_loading": True}, True),
    ],
)
def test_a_placeholder_is_not_declared(upstream: ProtocolName, tool: Body, is_declared: bool) -> None:
    body, _, lost = sent(upstream, USER, tools=[READ, tool])
    assert (names_in(body), lost) == (["read", *([tool["name"]] if is_declared else [])], [])


# --- effort --------------------------------------------------------------------------


def effort_in(body: Body) -> Any:
    return body.get("reasoning_effort") or body.get("reasoning", {}).get("effort")


LOW, HIGH = {"effort": "low"}, {"effort": "high"}
EFFORTS: dict[str, tuple[list[Body], Body, str | None]] = {
    "over that of the request": ([USER, system(JOINED, output_config=LOW)], {"output_config": HIGH}, "low"),
    "without one of the request": ([USER, system(JOINED, output_config=LOW)], {}, "low"),
    "the last of several": (
        [USER, system(JOINED, output_config=HIGH), USER, system(output_config=LOW)],
        {},
        "low",
    ),
    "an earlier one where the last has none": (
        [USER, system(JOINED, output_config=LOW), USER, system(JOINED, output_config={})],
        {"output_config": HIGH},
        "low",
    ),
    "not where thinking is off": (
        [USER, system(JOINED, output_config=HIGH)],
        {"thinking": {"type": "disabled"}},
        "none",
    ),
}


@pytest.mark.parametrize("upstream", OTHERS)
@pytest.mark.parametrize(("messages", "fields", "effort"), EFFORTS.values(), ids=EFFORTS)
def test_the_effort_of_the_turn_is_what_the_conversation_sets_last(
    upstream: ProtocolName, messages: list[Body], fields: Body, effort: str | None
) -> None:
    body, _, lost = sent(upstream, *messages, **fields)
    assert (effort_in(body), lost) == (effort, [])


def test_what_else_a_message_sets_is_a_loss() -> None:
    message = system(JOINED, output_config={"effort": "gigantic", "task_budget": 9}, sparkle=True)
    _, _, lost = sent("chat", USER, message)
    assert lost == [
        "messages.1.sparkle",
        "messages.1.output_config.task_budget",
        "messages.output_config.effort",
    ]


def test_an_answer_that_is_sent_back_whole_loses_nothing() -> None:
    answer = {"id": "msg_1", "type": "message", "model": "m", "stop_reason": "end_turn", "usage": {}}
    assert sent("chat", USER, {**answer, "role": "assistant", "content": [JOINED]}, USER)[2] == []


@pytest.mark.parametrize("upstream", OTHERS)
@pytest.mark.parametrize(
    ("clear_at", "later", "shown"),
    [("next_user_message", [USER], False), ("next_user_message", [], True), ("never", [USER], True)],
)
def test_a_system_message_for_one_turn_is_not_shown_in_the_next(
    upstream: ProtocolName, clear_at: str, later: list[Body], shown: bool
) -> None:
    body, _, lost = sent(upstream, USER, system(JOINED, clear_at=clear_at), *later)
    assert ("joined" in str(turns_of(body)), lost) == (shown, [])


# --- compaction ------------------------------------------------------------------------


def compaction(content: str | None, **more: Any) -> Body:
    return {"type": "compaction", "content": content, **more}


def assistant(*content: Body) -> Body:
    return {"role": "assistant", "content": list(content)}


def words(said: str) -> Body:
    return {"type": "text", "text": said}


SUMMARY = "Summary of the conversation so far:\n\nAll is well."
OLD = {"role": "user", "content": "OLD"}
MORE = {"role": "user", "content": "More"}
DONE = compaction("All is well.")
COMPACTED: dict[str, tuple[list[Body], str]] = {
    "with an answer behind it": (
        [OLD, assistant(words("OLD"), DONE, words("Yes")), MORE],
        f"user:{SUMMARY} assistant:Yes user:More",
    ),
    "alone in its message": ([OLD, assistant(DONE), MORE], f"user:{SUMMARY}+More"),
    "the last of two": (
        [OLD, assistant(compaction("OLD")), OLD, assistant(DONE, words("Yes")), MORE],
        f"user:{SUMMARY} assistant:Yes user:More",
    ),
    "one that failed": (
        [USER, assistant(compaction(None), words("Yes")), MORE],
        "user:Hello assistant:Yes user:More",
    ),
}


@pytest.mark.parametrize("upstream", OTHERS)
@pytest.mark.parametrize(("messages", "expected"), COMPACTED.values(), ids=COMPACTED)
def test_what_was_compacted_is_left_out_and_its_summary_is_context(
    upstream: ProtocolName, messages: list[Body], expected: str
) -> None:
    body, _, lost = sent(upstream, *messages, system="Be kind.")
    shown = [
        f"{role}:{words}".replace(f"{SUMMARY}\n\n", f"{SUMMARY}+").replace(f"{SUMMARY}|", f"{SUMMARY}+")
        for role, words in turns_of(body)
        if role != "system"
    ]
    assert (" ".join(shown), lost) == (expected, [])


@pytest.mark.parametrize("upstream", OTHERS)
def test_the_result_of_a_compacted_call_stays_as_text(upstream: ProtocolName) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "3C"}
    body, _, _ = sent(
        upstream, OLD, assistant(use, DONE), {"role": "user", "content": [result]}, tools=[READ]
    )
    assert [role for role, _ in turns_of(body)] == ["user"] and "3C" in str(turns_of(body))


@pytest.mark.parametrize("upstream", OTHERS)
def test_a_compaction_keeps_the_tools_that_were_added_before(upstream: ProtocolName) -> None:
    kept = compaction("All is well.", tool_changes=[definition(NEW), removal("read")])
    body, _, lost = sent(upstream, assistant(kept), MORE, tools=[READ])
    assert (names_in(body), lost) == (["mcp__new__tool"], [])

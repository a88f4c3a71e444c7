"""What rules may name of a request, as Claude Code 2.1.332, Codex 0.171 and the SDKs send it."""

import json
from typing import Any

import pytest

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.facts import BODY_FACTS, Facts
from switchyard.protocols.message_memory import History, MessageMemory
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.peek import watched_members
from switchyard.protocols.read_facts import PROJECT_BYTES, project_stated, read_facts
from switchyard.protocols.request_summary import read_request_summary

CLAUDE = {"user-agent": "claude-cli/2.1.332 (external, cli)", "x-claude-code-session-id": "s"}
CODEX = {"user-agent": "codex_exec/0.171.0", "originator": "codex_exec", "session-id": "s", "thread-id": "s"}
TOOL = {"name": "Bash", "input_schema": {"type": "object"}}
TITLE_SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}
REMINDER = (
    "<system-reminder>\n# Environment\n - Primary working directory: /home/me/company/app\n - Platform: linux"
)


IMAGE_SOURCE = {"type": "base64", "media_type": "image/png", "data": "aGk="}
RESULT_WITH_IMAGE = {
    "type": "tool_result",
    "tool_use_id": "t",
    "content": [{"type": "image", "source": IMAGE_SOURCE}],
}


def facts(
    protocol: ProtocolName,
    body: dict[str, Any],
    headers: dict[str, str] | None = None,
    wanted: frozenset[str] = BODY_FACTS,
    **more: Any,
) -> Facts:
    raw = json.dumps({"model": "m", **body}).encode()
    headers = headers or {}
    return read_facts(protocol, read_request_summary(protocol, raw, headers), headers, raw, wanted, **more)


def facts_of_client(protocol: ProtocolName, body: dict[str, Any]) -> Facts:
    """Of a body as clients send it, without blanks."""
    raw = json.dumps({"model": "m", **body}, separators=(",", ":")).encode()
    return read_facts(protocol, read_request_summary(protocol, raw, {}), {}, raw, BODY_FACTS)


def said(*texts: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts]}


@pytest.mark.parametrize(
    ("protocol", "headers", "program"),
    [
        ("messages", CLAUDE, "claude-code"),
        ("responses", CODEX, "codex"),
        ("messages", {"user-agent": "anthropic-python"}, ""),
        ("chat", CODEX, ""),
    ],
)
def test_the_program_is_known_by_its_headers(
    protocol: ProtocolName, headers: dict[str, str], program: str
) -> None:
    found = facts(protocol, {}, headers, client_key="laptop")
    assert (found.program, found.agent, found.client_key) == (program, headers["user-agent"], "laptop")


@pytest.mark.parametrize(
    ("headers", "subagent", "thread"),
    [
        (CLAUDE, False, ""),
        (CLAUDE | {"x-claude-code-agent-id": "a1"}, True, "a1"),
        (CODEX, False, ""),
        (CODEX | {"thread-id": "t"}, True, "t"),
        (CODEX | {"x-openai-subagent": "collab_spawn", "x-codex-parent-thread-id": "s"}, True, ""),
        (CODEX | {"x-openai-subagent": "review"}, True, ""),
        (CODEX | {"x-openai-subagent": "compact", "thread-id": "t"}, False, "t"),
        ({}, False, ""),
    ],
)
def test_a_sub_agent_is_known_by_its_headers(headers: dict[str, str], subagent: bool, thread: str) -> None:
    protocol: ProtocolName = "responses" if "originator" in headers else "messages"
    assert facts(protocol, {}, headers, frozenset()).subagent is subagent
    assert read_request_summary(protocol, b'{"model":"m"}', headers).thread == thread


@pytest.mark.parametrize(
    ("protocol", "body", "background"),
    [
        ("messages", {"max_tokens": 1}, True),
        ("messages", {"output_config": {"format": {"type": "json_schema", "schema": TITLE_SCHEMA}}}, True),
        ("messages", {"output_format": {"schema": TITLE_SCHEMA}, "tools": []}, True),
        ("messages", {"output_config": {"format": {"schema": TITLE_SCHEMA}}, "tools": [TOOL]}, False),
        ("messages", {"output_config": {"format": {"schema": {"properties": {"name": {}}}}}}, False),
        ("messages", {"max_tokens": 2}, False),
        ("chat", {"response_format": {"json_schema": {"schema": TITLE_SCHEMA}}}, True),
        ("responses", {"text": {"format": {"schema": TITLE_SCHEMA}}}, True),
        ("responses", {"text": "x", "max_output_tokens": 1}, True),
        ("messages", {"output_config": {"format": {"schema": []}}}, False),
    ],
)
def test_a_background_request_makes_a_title_or_wants_one_token(
    protocol: ProtocolName, body: dict[str, Any], background: bool
) -> None:
    assert facts(protocol, body).background is background


@pytest.mark.parametrize(
    ("protocol", "body", "headers", "compaction"),
    [
        ("messages", said("Hello", "CRITICAL: Respond with TEXT ONLY. Do NOT call tools."), CLAUDE, True),
        ("messages", said("CRITICAL: Respond with TEXT ONLY.", "and now?"), CLAUDE, False),
        (
            "messages",
            {"messages": [{"role": "user", "content": "CRITICAL: Respond with TEXT ONLY"}]},
            {},
            True,
        ),
        ("messages", {"messages": [5], "x": "CRITICAL: Respond with TEXT ONLY"}, CLAUDE, False),
        ("responses", {}, CODEX | {"x-codex-turn-metadata": '{"request_kind": "compaction"}'}, True),
        ("responses", {}, CODEX | {"x-codex-turn-metadata": '{"request_kind": "turn"}'}, False),
        ("responses", {}, CODEX | {"x-codex-turn-metadata": "{broken"}, False),
        ("responses", {}, CODEX | {"x-openai-subagent": "compact"}, True),
        ("chat", {}, {}, False),
    ],
)
def test_a_compaction_is_known_by_its_last_message_or_its_headers(
    protocol: ProtocolName, body: dict[str, Any], headers: dict[str, str], compaction: bool
) -> None:
    assert facts(protocol, body, headers).compaction is compaction


def test_a_request_to_the_endpoint_for_compaction_is_one() -> None:
    assert facts("responses", {}, compacts=True).compaction


@pytest.mark.parametrize(
    ("protocol", "body", "thinking", "effort"),
    [
        ("messages", {}, False, ""),
        ("messages", {"thinking": {"type": "adaptive"}}, True, ""),
        ("messages", {"thinking": {"type": "enabled", "budget_tokens": 4000}}, True, ""),
        (
            "messages",
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            False,
            "high",
        ),
        ("messages", {"model": "m-thinking"}, True, ""),
        (
            "messages",
            {
                "output_config": {"effort": "low"},
                "messages": [
                    {"role": "system", "content": "x", "output_config": {"effort": "max"}},
                    {"role": "user", "content": "x"},
                ],
            },
            False,
            "max",
        ),
        ("chat", {"reasoning_effort": "medium"}, True, "medium"),
        ("chat", {"reasoning_effort": "none"}, False, "none"),
        ("responses", {"reasoning": {"effort": "high"}}, True, "high"),
        ("responses", {"reasoning": {"effort": 7}}, False, ""),
        ("responses", {"reasoning": []}, False, ""),
    ],
)
def test_thinking_and_effort_are_read_in_each_protocol(
    protocol: ProtocolName, body: dict[str, Any], thinking: bool, effort: str
) -> None:
    found = facts(protocol, body)
    assert (found.thinking, found.effort) == (thinking, effort)


@pytest.mark.parametrize(
    ("body", "searches"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, True),
        ({"tools": [{"type": "web_search"}]}, True),
        ({"tools": [{"type": "web_search"}, {"type": "function", "name": "shell"}]}, False),
        ({"tools": []}, False),
        ({"tools": [5]}, False),
        ({}, False),
    ],
)
def test_a_web_search_is_the_only_tool(body: dict[str, Any], searches: bool) -> None:
    assert facts("responses", body).web_search is searches


@pytest.mark.parametrize(
    ("protocol", "content", "images"),
    [
        ("messages", [{"type": "image", "source": {"type": "base64", "data": "aGk="}}], True),
        ("messages", [{"type": "tool_result", "content": [{"type": "image", "source": {}}]}], True),
        ("messages", [{"type": "text", "text": 'the block {"type": "image"}'}], False),
        ("chat", [{"type": "image_url", "image_url": {"url": "https://h/x.png"}}], True),
        ("responses", [{"type": "input_image", "image_url": "https://h/x.png"}], True),
        ("responses", "no image", False),
    ],
)
def test_images_are_found_anywhere_in_the_conversation(
    protocol: ProtocolName, content: Any, images: bool
) -> None:
    history = "input" if protocol == "responses" else "messages"
    body = {history: [{"role": "user", "content": content}, {"role": "user", "content": "go on"}]}
    assert facts(protocol, body).images is images


@pytest.mark.parametrize(
    ("content", "images"),
    [
        ([{"type": "text", "text": "no image"}], False),
        ([{"type": "image", "source": {}}], True),
        ([{"type": "tool_result", "content": [{"type": "image", "source": {}}]}], True),
        ([{"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}}], True),
        ([{"type": "document", "source": {"type": "text", "data": "x"}}], False),
        ([{"type": "tool_use", "id": "t", "name": "Draw", "input": {"type": "image"}}], False),
    ],
)
def test_images_are_found_in_a_large_conversation(content: Any, images: bool) -> None:
    body = said("x" * 100_000)
    body["messages"].append({"role": "user", "content": content})
    assert facts_of_client("messages", body).images is images


def test_images_are_found_in_a_large_responses_request() -> None:
    for content, images in (([{"type": "input_image", "image_url": "u"}], True), ("x", False)):
        items = [{"role": "user", "content": "x" * 100_000}, {"role": "user", "content": content}]
        assert facts_of_client("responses", {"input": items, "stream": True}).images is images


def test_the_effort_of_the_turn_is_found_in_a_large_conversation() -> None:
    body = {"output_config": {"effort": "low"}, **said("x" * 100_000), "stream": True}
    assert facts_of_client("messages", body).effort == "low"
    body["messages"].append({"role": "system", "content": "x", "output_config": {"effort": "max"}})
    assert facts_of_client("messages", body).effort == "max"


@pytest.mark.parametrize(
    ("said_before", "added", "images", "effort"),
    [
        ([], {}, False, ""),
        ([{"type": "image", "source": IMAGE_SOURCE}], {}, True, ""),
        ([RESULT_WITH_IMAGE], {}, True, ""),
        ([], {"content": [{"type": "image", "source": IMAGE_SOURCE}]}, True, ""),
        ([], {"content": [RESULT_WITH_IMAGE]}, True, ""),
        ([], {"role": "system", "output_config": {"effort": "max"}}, False, "max"),
        ([{"type": "tool_use", "id": "t", "name": "N", "input": {"output_config": 1}}], {}, False, ""),
    ],
)
def test_facts_of_a_later_turn_are_those_of_its_whole_conversation(
    said_before: list[Any], added: dict[str, Any], images: bool, effort: str
) -> None:
    memory = MessageMemory()
    first = said("x" * 50_000, "y")
    role = "assistant" if said_before and said_before[0]["type"] == "tool_use" else "user"
    first["messages"].append({"role": role, "content": [{"type": "text", "text": "z"}, *said_before]})
    members = watched_members(json.dumps(first, separators=(",", ":")).encode())
    CODECS["messages"].decode_request(
        json.dumps({"model": "m", "max_tokens": 9, **first}, separators=(",", ":")).encode(),
        History(memory, members.messages),
    )
    later = {**first, "messages": [*first["messages"], {"role": "user", "content": "w", **added}]}
    raw = json.dumps({"model": "m", **later}, separators=(",", ":")).encode()
    summary = read_request_summary("messages", raw, {}, memory)
    assert summary.beginning is not None and len(summary.beginning.items) == 3
    found = read_facts("messages", summary, {}, raw, BODY_FACTS)
    assert (found.images, found.effort) == (images, effort)


@pytest.mark.parametrize(
    ("protocol", "body", "project"),
    [
        ("messages", said(REMINDER, "Hello"), "/home/me/company/app"),
        ("messages", said("Hello", REMINDER), "/home/me/company/app"),
        ("messages", {"system": REMINDER, "messages": []}, "/home/me/company/app"),
        (
            "messages",
            said('# Environment\n - Primary working directory: C:\\Users\\me\\"a" é\n'),
            'C:\\Users\\me\\"a" é',
        ),
        ("messages", said("Hello"), ""),
        (
            "responses",
            {"input": [{"content": [{"text": "<environment_context>\n  <cwd>/home/me/x y</cwd>\n"}]}]},
            "/home/me/x y",
        ),
        ("responses", {"input": "Primary working directory: /x"}, ""),
    ],
)
def test_the_project_is_the_working_directory(
    protocol: ProtocolName, body: dict[str, Any], project: str
) -> None:
    assert facts(protocol, body).project == project


def test_the_project_is_not_looked_for_far_inside_of_a_conversation() -> None:
    assert facts("messages", said("x" * 250_000, REMINDER)).project
    assert not facts("messages", said("x" * 300_000, REMINDER)).project
    assert facts("messages", {"system": REMINDER, **said("x" * 300_000)}).project


@pytest.mark.parametrize("shown", range(8))
def test_no_part_of_a_path_is_taken_for_the_project(shown: int) -> None:
    r"""The end of what is looked through may show only so many bytes of C:\\a\\b."""
    words = "Primary working directory: "
    system = "x" * (PROJECT_BYTES - len(words) - shown - 1) + words + "C:\\a\\b\nPlatform: win32"
    assert facts_of_client("messages", {"system": system, **said("hello")}).project == ""


def test_only_what_is_wanted_is_read_from_the_body() -> None:
    body = {
        **said(REMINDER),
        "thinking": {"type": "adaptive"},
        "max_tokens": 1,
    }
    assert facts("messages", body, wanted=frozenset()) == Facts()
    assert facts("messages", body, wanted=frozenset({"background"})) == Facts(background=True)


@pytest.mark.parametrize("junk", [5, "x", [], [5], {}, {"type": 5}, None])
@pytest.mark.parametrize(
    "name", ["tools", "messages", "input", "thinking", "reasoning", "output_config", "text"]
)
@pytest.mark.parametrize("protocol", ["messages", "chat", "responses"])
def test_a_request_of_any_shape_has_facts(protocol: ProtocolName, name: str, junk: Any) -> None:
    found = facts(protocol, {name: junk})
    assert not (found.compaction or found.images or found.project)


def test_a_known_project_is_not_looked_for_again() -> None:
    body = {"system": REMINDER}
    raw = json.dumps({"model": "m", **body}).encode()
    summary = read_request_summary("messages", raw, CLAUDE)
    assert read_facts("messages", summary, CLAUDE, raw, BODY_FACTS, project="/known").project == "/known"


@pytest.mark.parametrize(("headers", "project"), [(CLAUDE, "/home/me/company/app"), ({}, "")])
def test_the_project_alone_is_that_of_a_known_program(headers: dict[str, str], project: str) -> None:
    raw = json.dumps({"model": "m", "system": REMINDER}).encode()
    assert project_stated("messages", read_request_summary("messages", raw, headers)) == project


def test_a_body_that_only_looks_like_an_image_has_none() -> None:
    assert not facts("messages", said('an "image" and an "image_url"')).images
    assert not facts(
        "messages", {"messages": [{"role": "user", "content": [{"type": "x", "image": 1}]}]}
    ).images

"""Messages requests that pass through: changed only where this upstream needs it."""

import copy
from typing import Any

import pytest

from switchyard.protocols import carrier
from tests.protocols.anthropic_messages.script import ISSUER, target
from tests.protocols.repair.repairing import repair_request
from tests.protocols.validators import check_messages_request

Wire = dict[str, Any]

BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.123;"}
MARK = {"cache_control": {"type": "ephemeral"}}
S = {"type": "text", "text": "S"}
OWN = carrier.pack("thinking", ISSUER, {"signature": "SIG"})
OWN_REDACTED = carrier.pack("thinking", ISSUER, {"signature": "redacted:D"})
FOREIGN = carrier.pack("thinking", "upstream-r", {"signature": "SIG"})
ITEM = carrier.pack("reasoning", "upstream-r", {"type": "reasoning"})
UNSIGNED = carrier.pack("text", "", {})
TOOL = {"name": "w", "input_schema": {"type": "object", "properties": {}}}
USE = {"type": "tool_use", "id": "a", "name": "w", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "3C"}
CLEARING = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}


def text(said: str, **more: Any) -> Wire:
    return {"type": "text", "text": said, **more}


def thinking(signature: str) -> Wire:
    return {"type": "thinking", "thinking": "T", "signature": signature}


def user(*content: Any) -> Wire:
    return {"role": "user", "content": list(content) if content else "x"}


def assistant(*content: Any) -> Wire:
    return {"role": "assistant", "content": list(content)}


def body(*messages: Wire, **fields: Any) -> Wire:
    return {"model": "m", "max_tokens": 64000, "messages": list(messages or (user(),)), **fields}


CLAUDE_CODE = body(
    user(text("hi", **MARK)),
    {"role": "system", "content": "Be brief."},
    assistant(thinking("NATIVE"), text("a"), USE),
    user(RESULT, text("go on", **MARK)),
    system=[BILLING, text("S", **MARK)],
    tools=[TOOL, {**TOOL, "name": "v", **MARK}],
    thinking={"type": "adaptive"},
    output_config={"effort": "high"},
    context_management=CLEARING,
    metadata={"user_id": "u"},
    temperature=1,
    stream=True,
)

UNTOUCHED: dict[str, tuple[Wire, Wire]] = {
    "all of Claude Code at the vendor's own": (CLAUDE_CODE, {}),
    "nothing to repair at a plain server": (
        body(),
        {"billing_line": False, "mid_system": False, "context_management": False, "cache_control": False},
    ),
    "a system prompt without attribution": (body(system="S"), {"billing_line": False}),
    "fields nobody has heard of": (body(sparkle={"type": "new"}, thinking={"type": "novel"}), {}),
    "messages of strange shape": ({"messages": "x", "system": 3, "tools": 4}, {"mid_system": False}),
    "entries of strange shape": (
        {"messages": [3, {"role": "user", "content": [4]}], "system": [5], "tools": [6]},
        {"billing_line": False, "hosted_web_search": False, "images": False},
    ),
    "an empty system prompt": (body(system=[]), {"billing_line": False}),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_needs_no_repair_stays_as_it_is(name: str) -> None:
    given, capabilities = UNTOUCHED[name]
    repaired = copy.deepcopy(given)
    assert repair_request("messages", repaired, target(**capabilities)) is False
    assert repaired == given


REMINDER = text("<system-reminder>\nB\n</system-reminder>")
SYSTEM = {"role": "system", "content": "B"}
RAW = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1"}
REAL = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "x"}
MADE = REAL | {"encrypted_content": ""}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}}
NO_IMAGE = text("[image omitted: the model reads no images]")
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "x"}}
NOTE = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}
LOOP = (user(), assistant(thinking(FOREIGN), USE), user(RESULT))
BARE_LOOP = (user(), assistant(USE), user(RESULT))
BUDGET = {"type": "enabled", "budget_tokens": 4096}

REPAIRS: dict[str, tuple[Wire, Wire, Wire]] = {
    "the billing line": (
        body(system=[BILLING, text("S", **MARK)]),
        {"billing_line": False},
        body(system=[text("S", **MARK)]),
    ),
    "the billing line alone": (body(system=[BILLING]), {"billing_line": False}, body()),
    "the billing line in a text": (
        body(system=BILLING["text"] + "\nS"),
        {"billing_line": False},
        body(system="S"),
    ),
    "the billing line in front of more": (
        body(system=[text(BILLING["text"] + "\nS", **MARK)]),
        {"billing_line": False},
        body(system=[text("S", **MARK)]),
    ),
    "a system message after the user": (
        body(user(), SYSTEM),
        {"mid_system": False},
        body(user(text("x"), REMINDER)),
    ),
    "a system message between two turns": (
        body(user(), assistant(text("a")), SYSTEM, user(text("y"))),
        {"mid_system": False},
        body(user(), assistant(text("a")), user(REMINDER, text("y"))),
    ),
    "a system message before results": (
        body(user(), assistant(USE), {"role": "system", "content": [text("B")]}, user(RESULT)),
        {"mid_system": False},
        body(user(), assistant(USE), user(RESULT, REMINDER)),
    ),
    "context management": (body(context_management=CLEARING), {"context_management": False}, body()),
    "our own thinking comes back": (
        body(user(), assistant(thinking(OWN), text("a")), user()),
        {},
        body(user(), assistant(thinking("SIG"), text("a")), user()),
    ),
    "our own redacted thinking comes back": (
        body(user(), assistant({"type": "redacted_thinking", "data": OWN_REDACTED}, text("a")), user()),
        {},
        body(user(), assistant({"type": "redacted_thinking", "data": "D"}, text("a")), user()),
    ),
    "foreign thinking is dropped": (
        body(
            user(),
            assistant(thinking(FOREIGN), thinking(ITEM), thinking(UNSIGNED), thinking("NATIVE"), text("a")),
            user(),
        ),
        {},
        body(user(), assistant(thinking("NATIVE"), text("a")), user()),
    ),
    "foreign redacted thinking is dropped": (
        body(user(), assistant({"type": "redacted_thinking", "data": ITEM}, text("a")), user()),
        {},
        body(user(), assistant(text("a")), user()),
    ),
    "a damaged carrier is dropped": (
        body(user(), assistant(thinking(carrier.PREFIX + "x"), text("a")), user()),
        {},
        body(user(), assistant(text("a")), user()),
    ),
    "a turn of foreign thinking alone": (
        body(user(), assistant(thinking(FOREIGN)), user(text("y"))),
        {},
        body(user(text("x"), text("y"))),
    ),
    "where signatures are not checked the thoughts stay": (
        body(
            user(),
            assistant(thinking(FOREIGN), {"type": "redacted_thinking", "data": ITEM}, text("a")),
            user(),
        ),
        {"signed_thinking": False},
        body(user(), assistant(thinking(""), text("a")), user()),
    ),
    "a running loop that lost its thinking": (
        body(*LOOP, thinking=BUDGET, context_management=CLEARING),
        {},
        body(*BARE_LOOP),
    ),
    "a running loop that thinks adaptively": (
        body(*LOOP, thinking={"type": "adaptive"}),
        {},
        body(*BARE_LOOP, thinking={"type": "adaptive"}),
    ),
    "a finished loop that lost its thinking": (
        body(*LOOP, assistant(text("a")), user(), thinking=BUDGET),
        {},
        body(*BARE_LOOP, assistant(text("a")), user(), thinking=BUDGET),
    ),
    "a search of another vendor": (
        body(user(), assistant(SEARCH, RAW | {"content": [MADE]}, text("a")), user()),
        {},
        body(user(), assistant(text("a")), user()),
    ),
    "a search of another vendor without results": (
        body(
            user(),
            assistant(
                SEARCH | {"id": "srvtoolu_swyd_1"},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_swyd_1", "content": []},
                text("a"),
            ),
            user(),
        ),
        {},
        body(user(), assistant(text("a")), user()),
    ),
    "a search of another vendor that was cut off": (
        body(user(), assistant(SEARCH | {"id": "srvtoolu_swyd_1"}, text("a")), user()),
        {},
        body(user(), assistant(text("a")), user()),
    ),
    "the citations of such a search": (
        body(
            user(),
            assistant(text("a", citations=[{"type": "web_search_result_location", "encrypted_index": ""}])),
            user(),
        ),
        {},
        body(user(), assistant(text("a")), user()),
    ),
    "searches where none are known": (
        body(
            user(),
            assistant(SEARCH, RAW | {"content": [REAL]}, text("a")),
            user(),
            tools=[WEB_SEARCH],
            tool_choice={"type": "tool", "name": "web_search"},
        ),
        {"hosted_web_search": False},
        body(user(), assistant(text("a")), user()),
    ),
    "hosted tools among others": (
        body(tools=[TOOL, WEB_SEARCH], tool_choice={"type": "auto"}),
        {"hosted_web_search": False},
        body(tools=[TOOL], tool_choice={"type": "auto"}),
    ),
    "images": (
        body(user(IMAGE, RESULT | {"content": [IMAGE, text("t")]})),
        {"images": False},
        body(user(NO_IMAGE, RESULT | {"content": [NO_IMAGE, text("t")]})),
    ),
    "results that are errors": (
        body(
            user(
                RESULT | {"is_error": True},
                RESULT | {"is_error": True, "content": [IMAGE]},
                RESULT | {"is_error": True, "content": [text("Error: t")]},
                {"type": "tool_result", "tool_use_id": "a", "is_error": True},
                RESULT,
            )
        ),
        {"error_results": False},
        body(
            user(
                RESULT | {"is_error": True, "content": "Error: 3C"},
                RESULT | {"is_error": True, "content": [text("Error:"), IMAGE]},
                RESULT | {"is_error": True, "content": [text("Error: t")]},
                {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": "Error: "},
                RESULT,
            )
        ),
    ),
    "documents": (
        body(user(PDF, NOTE)),
        {"files": False},
        body(user(text("[document omitted: the model reads no documents]"), text("d"))),
    ),
    "adaptive thinking for a model with budgets": (
        body(thinking={"type": "adaptive"}, output_config={"effort": "medium", "format": {"a": 1}}),
        {"reasoning_effort": "budget"},
        body(thinking={"type": "enabled", "budget_tokens": 8191}, output_config={"format": {"a": 1}}),
    ),
    "adaptive thinking without an effort": (
        body(thinking={"type": "adaptive"}, max_tokens=9000),
        {"reasoning_effort": "budget"},
        body(thinking={"type": "enabled", "budget_tokens": 7976}, max_tokens=9000),
    ),
    "adaptive thinking without room": (
        body(thinking={"type": "adaptive"}, max_tokens=2000, context_management=CLEARING),
        {"reasoning_effort": "budget"},
        body(max_tokens=2000),
    ),
    "thinking for a model without": (
        body(
            thinking=BUDGET,
            output_config={"effort": "high"},
            context_management={"edits": [*CLEARING["edits"], {"type": "clear_tool_uses_20250919"}]},
        ),
        {"reasoning_effort": "none"},
        body(context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}),
    ),
    "a budget for a model that only knows efforts": (
        body(thinking=BUDGET | {"display": "omitted"}, output_config={"format": {"a": 1}}),
        {"thinking_budgets": False},
        body(
            thinking={"type": "adaptive", "display": "omitted"},
            output_config={"effort": "medium", "format": {"a": 1}},
        ),
    ),
    "a budget beside an effort of its own": (
        body(thinking=BUDGET, output_config={"effort": "max"}),
        {"thinking_budgets": False},
        body(thinking={"type": "adaptive"}, output_config={"effort": "max"}),
    ),
    "a longer answer than it gives": (
        body(max_tokens=64000, thinking={"type": "enabled", "budget_tokens": 32000}),
        {"max_output_tokens": 8192},
        body(max_tokens=8192, thinking={"type": "enabled", "budget_tokens": 7168}),
    ),
    "a longer answer than it gives, no room for thoughts": (
        body(max_tokens=64000, thinking={"type": "enabled", "budget_tokens": 32000}),
        {"max_output_tokens": 2000},
        body(max_tokens=2000),
    ),
    "an effort that the model does not know": (
        body(output_config={"effort": "max"}),
        {"efforts": ("low", "high")},
        body(output_config={"effort": "high"}),
    ),
    "sampling": (
        body(temperature=1, top_p=0.9, top_k=4),
        {"sampling": False, "top_k": False},
        body(),
    ),
    "fields learned to be refused": (
        body(metadata={"user_id": "u"}, speed="fast"),
        {"dropped_fields": ("metadata", "absent")},
        body(speed="fast"),
    ),
    "cache marks beyond four: the oldest go, tools counted": (
        body(
            user(text("a", **MARK)),
            assistant(text("b", **MARK)),
            user(RESULT | {"content": [text("c", **MARK)]}, text("d", **MARK)),
            system=[text("S", **MARK)],
            tools=[TOOL | MARK],
        ),
        {},
        body(
            user(text("a", **MARK)),
            assistant(text("b", **MARK)),
            user(RESULT | {"content": [text("c", **MARK)]}, text("d", **MARK)),
            system=[text("S")],
            tools=[TOOL],
        ),
    ),
    "cache marks where none are known": (
        body(user(text("a", **MARK)), system=[text("S", **MARK)], tools=[TOOL | MARK], **MARK),
        {"cache_control": False},
        body(user(text("a")), system=[text("S")], tools=[TOOL]),
    ),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_what_this_upstream_cannot_take_is_repaired(name: str) -> None:
    given, capabilities, expected = REPAIRS[name]
    repaired = copy.deepcopy(given)
    assert repair_request("messages", repaired, target(**capabilities)) is True
    assert repaired == expected


@pytest.mark.parametrize("name", REPAIRS)
def test_a_second_repair_finds_nothing_left(name: str) -> None:
    given, capabilities, _ = REPAIRS[name]
    repaired = copy.deepcopy(given)
    repair_request("messages", repaired, target(**capabilities))
    assert repair_request("messages", repaired, target(**capabilities)) is False


def test_claude_code_at_a_local_server() -> None:
    repaired = copy.deepcopy(CLAUDE_CODE)
    plain = target(
        billing_line=False,
        mid_system=False,
        context_management=False,
        cache_control=False,
        signed_thinking=False,
        hosted_web_search=False,
        files=False,
        reasoning_effort="none",
    )
    assert repair_request("messages", repaired, plain) is True
    assert repaired == body(
        user(text("hi"), text("<system-reminder>\nBe brief.\n</system-reminder>")),
        assistant(thinking("NATIVE"), text("a"), USE),
        user(RESULT, text("go on")),
        system=[S],
        tools=[TOOL, {**TOOL, "name": "v"}],
        metadata={"user_id": "u"},
        temperature=1,
        stream=True,
    )
    check_messages_request(repaired)


def test_tools_that_the_client_runs_are_sent_to_servers_that_run_none() -> None:
    client_tools = [{"type": f"{name}_20260801"} for name in ("computer_toolset", "browser_toolset")]
    hosted = {"type": "code_execution_20260521", "name": "code_execution"}
    request = body(user(text("hi")), tools=[*client_tools, TOOL, hosted])
    repair_request("messages", request, target(hosted_web_search=False))
    assert request["tools"] == [*client_tools, TOOL]


# --- what messages change in mid-conversation -------------------------------------


def system(*content: Any, **members: Any) -> Wire:
    return {"role": "system", "content": list(content), **members}


LOW = {"effort": "low"}
HIGH = {"effort": "high"}
NEW = {**TOOL, "name": "new"}
ADDITION = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": NEW}}
REMOVAL = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "w"}}


def repaired(conversation: Wire, **capabilities: Any) -> Wire:
    request = copy.deepcopy(conversation)
    repair_request("messages", request, target(**capabilities))
    check_messages_request(request)
    return request


@pytest.mark.parametrize(
    ("messages", "output_config", "left", "effort"),
    [
        ((user(), system(S, output_config=LOW)), HIGH, (user(), system(S)), LOW),
        ((user(), system(S, output_config=LOW)), None, (user(), system(S)), LOW),
        (
            (user(), system(S, output_config=HIGH), user(), system(output_config=LOW)),
            {"format": {"type": "json_schema", "schema": {}}},
            (user(), system(S), user()),
            {"format": {"type": "json_schema", "schema": {}}, "effort": "low"},
        ),
        ((user(), system(S, output_config={})), HIGH, (user(), system(S)), HIGH),
    ],
)
def test_an_effort_that_messages_must_not_have_becomes_that_of_the_request(
    messages: tuple[Wire, ...], output_config: Any, left: tuple[Wire, ...], effort: Any
) -> None:
    given = {} if output_config is None else {"output_config": output_config}
    thinks = {"thinking": {"type": "adaptive"}}
    request = repaired(body(*messages, **given, **thinks), effort_in_messages=False)
    assert request == body(*left, **thinks, output_config=effort)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"efforts": ("medium", "high")}, {"output_config": {"effort": "medium"}}),
        ({"reasoning_effort": "budget"}, {"thinking": {"type": "enabled", "budget_tokens": 2047}}),
        ({"mid_system": False}, {"output_config": LOW}),
    ],
)
def test_the_effort_of_a_message_is_adapted_like_that_of_the_request(
    capabilities: dict[str, Any], expected: Wire
) -> None:
    given = body(user(), system(S, output_config=LOW), thinking={"type": "adaptive"})
    request = repaired(given, **capabilities)
    assert "output_config" not in str(request["messages"])
    assert {name: request[name] for name in expected} == expected


def test_an_effort_in_messages_is_left_where_it_is_known() -> None:
    given = body(user(), system(S, output_config=LOW), output_config=HIGH)
    assert repaired(given) == given


@pytest.mark.parametrize(
    ("blocks", "tools", "reminded"),
    [
        ((S, ADDITION), [TOOL, NEW], True),
        ((ADDITION,), [TOOL, NEW], False),
        ((S, REMOVAL, ADDITION), [NEW], True),
        ((S, REMOVAL), None, True),
    ],
)
def test_changes_of_the_tools_are_made_where_system_messages_are_folded(
    blocks: tuple[Wire, ...], tools: Any, reminded: bool
) -> None:
    given = body(user(text("hi")), system(*blocks), tools=[TOOL], tool_choice={"type": "auto"})
    request = repaired(given, mid_system=False)
    assert (request.get("tools"), "tool_choice" in request) == (tools, tools is not None)
    assert ("system-reminder" in str(request["messages"])) is reminded


@pytest.mark.parametrize(("later", "shown"), [((user(text("Go on")),), False), ((), True)])
def test_a_cleared_system_message_is_not_folded(later: tuple[Wire, ...], shown: bool) -> None:
    given = body(user(text("hi")), system(S, clear_at="next_user_message"), *later)
    assert ("system-reminder" in str(repaired(given, mid_system=False))) is shown


SUMMARY = text("Summary of the conversation so far:\n\nAll is well.")
COMPACTED = {"type": "compaction", "content": "All is well."}


@pytest.mark.parametrize(
    ("history", "left"),
    [
        ((user(), assistant(text("OLD"), COMPACTED, text("Yes"))), (user(SUMMARY), assistant(text("Yes")))),
        ((user(), assistant(COMPACTED)), ()),
        (
            (assistant(COMPACTED), user(), assistant(COMPACTED, USE), user(RESULT)),
            (user(SUMMARY), assistant(USE), user(RESULT)),
        ),
    ],
)
def test_a_compaction_is_expanded_for_servers_without_context_management(
    history: tuple[Wire, ...], left: tuple[Wire, ...]
) -> None:
    request = repaired(body(*history, user(text("More")), tools=[TOOL]), context_management=False)
    said = request["messages"]
    assert "OLD" not in str(said) and "compaction" not in str(said) and "All is well." in str(said)
    assert said[: len(left) - 1] == list(left[:-1])


def test_a_compaction_is_left_where_it_is_known() -> None:
    given = body(
        user(), assistant(COMPACTED), user(), context_management={"edits": [{"type": "compact_20260112"}]}
    )
    assert repaired(given) == given

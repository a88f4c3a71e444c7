"""Where two requests of a conversation begin to differ."""

import json
from typing import Any

import pytest

from switchyard.protocols.passthrough.peek import watched_members
from switchyard.protocols.prefix import CHUNK_BYTES, MAX_CHUNKS, Common, common_prefix, prefix_of

Body = dict[str, Any]
TOOLS = [{"name": f"tool_{number}", "description": "does something " * 20} for number in range(20)]
SYSTEM = "You are a program that helps. " * 200


def common(earlier: Body, later: Body) -> Common:
    first, second = (prefix_of(watched_members(json.dumps(body).encode())) for body in (earlier, later))
    return common_prefix(first, second)


def turns(count: int) -> list[Body]:
    return [
        {"role": "assistant" if turn % 2 else "user", "content": f"{turn}: " + "text " * 500}
        for turn in range(count)
    ]


def body(count: int, **more: Any) -> Body:
    return {"model": "m", "messages": turns(count), "tools": TOOLS, "system": SYSTEM} | more


def test_a_conversation_that_goes_on_begins_like_its_previous_request() -> None:
    assert common(body(3), body(5)) == Common()


def test_members_outside_the_prompt_do_not_matter() -> None:
    assert common(body(3), body(5, max_tokens=9, metadata={"user_id": "u"}, stream=True)) == Common()


def test_the_order_of_the_members_does_not_matter() -> None:
    later = body(5)
    assert common(body(3), dict(reversed(later.items()))) == Common()


@pytest.mark.parametrize(
    ("member", "history", "at"),
    [("system", "messages", 3000), ("instructions", "input", 5000)],
)
def test_the_first_changed_chunk_is_found(member: str, history: str, at: int) -> None:
    earlier = {"model": "m", "tools": TOOLS, member: SYSTEM, history: turns(4)}
    changed = SYSTEM[:at] + "#" + SYSTEM[at + 1 :]

    found = common(earlier, earlier | {member: changed})

    assert found.changed_in == member
    assert found.changed_at <= at + 1 < found.changed_at + CHUNK_BYTES
    assert 0 < found.share < 1


def test_a_changed_tool_is_the_first_difference_whatever_follows() -> None:
    found = common(body(3), body(5, tools=[TOOLS[0] | {"description": "else"}, *TOOLS[1:]], system="new"))
    assert found == Common(0.0, "tools", 0)


def test_an_earlier_message_that_changed_is_a_difference() -> None:
    later = turns(5)
    later[1] = {"role": "assistant", "content": "forgotten"}
    found = common(body(4), body(5, messages=later))
    assert found.changed_in == "messages" and found.share > 0.5


def test_the_moving_mark_of_the_cached_part_is_no_difference() -> None:
    """Claude Code marks the last message, so that the mark is gone from it in the next request."""
    marked = turns(3)
    marked[-1] = {
        "role": "user",
        "content": [{"type": "text", "text": "last", "cache_control": {"type": "ephemeral"}}],
    }
    unmarked = [*marked[:-1], {"role": "user", "content": [{"type": "text", "text": "last"}]}, *turns(2)]
    assert common(body(3, messages=marked), body(5, messages=unmarked)) == Common()


@pytest.mark.parametrize("count", [1, 2])
def test_the_changing_billing_text_of_claude_code_is_no_difference(count: int) -> None:
    def system(mark: str) -> list[Body]:
        billing = {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1; cch={mark};"}
        return [billing, *({"type": "text", "text": SYSTEM} for _ in range(count))]

    assert common(body(3, system=system("0a1b2")), body(5, system=system("ffee"))) == Common()


def test_a_very_long_request_is_compared_as_far_as_its_first_megabytes() -> None:
    history = [{"role": "user", "content": "x" * (MAX_CHUNKS + 100) * CHUNK_BYTES}]
    prefix = prefix_of(watched_members(json.dumps({"model": "m", "messages": history}).encode()))
    assert (len(prefix.marks), prefix.size) == (MAX_CHUNKS, MAX_CHUNKS * CHUNK_BYTES)


def test_a_request_without_history_has_nothing_in_common() -> None:
    empty: Body = {"model": "m"}
    assert prefix_of(watched_members(json.dumps(empty).encode())).size == 0
    assert common(empty, body(2)) == Common()
    assert common(body(2), empty).share == 0


def test_a_last_message_that_gets_another_form_later_is_no_difference() -> None:
    long = "the result of a command " * 400
    last = {
        "role": "user",
        "content": [{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}],
    }
    earlier = body(3, messages=[*turns(2), last])
    later = body(5, messages=[*turns(2), {"role": "user", "content": long}, *turns(2)])
    found = common(earlier, later)
    assert found.changed_in == "" and 0.6 < found.share < 0.9

"""In which order a refused request is changed, repeated, and remembered: a script of what the upstream answers."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from switchyard.relay.upstream import Call, Reply
from switchyard.settings import Settings
from tests.bed.fake_time import run
from tests.bed.stage import BODY, Stage, reply, upstream

Json = dict[str, Any]
Refuses = Callable[[Json], str]
"""What the upstream says to a body; "" where it answers."""
FORCED = "Thinking may not be enabled when tool_choice forces tool use."
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}


class Played(msgspec.Struct):
    """The bodies that the upstream got, and what is known of it in the end."""

    bodies: list[Json]
    verdicts: list[list[str]]
    learned: Json
    unhelpful: list[str]


def play(refuses: Refuses, *requests: Json, status: int = 400, **entry: Any) -> Played:
    """Each request in turn; every one of them is the ordinary body with these members."""

    async def scenario() -> Played:
        played = Played([], [], {}, [])

        async def answer(call: Call) -> Reply:
            played.bodies.append(msgspec.json.decode(call.body))
            if message := refuses(played.bodies[-1]):
                error = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
                return reply(status, msgspec.json.encode(error))
            return reply()

        stage = Stage(Settings(upstreams=(upstream("u", **entry),)), answer)
        for request in requests:
            body = msgspec.json.encode(msgspec.json.decode(BODY) | request)
            exchange = await stage.ask(body=body)
            played.verdicts.append([attempt.verdict for attempt in exchange.attempts])
        played.learned = stage.dependencies.learned.get(("u", "m"), {})
        unhelpful = stage.dependencies.unhelpful.get(("u", "m"), {})
        played.unhelpful = [change for _, change in unhelpful]
        return played

    return run(scenario())


def unknown(*names: str) -> Refuses:
    return lambda body: next((f"Unknown parameter: '{name}'." for name in names if name in body), "")


def members(bodies: list[Json]) -> list[list[str]]:
    ordinary = msgspec.json.decode(BODY)
    return [sorted(name for name in body if name not in ordinary) for body in bodies]


def test_a_change_is_remembered_once_the_request_with_it_has_succeeded() -> None:
    played = play(unknown("alpha"), {"alpha": 1}, {"alpha": 1})
    assert members(played.bodies) == [["alpha"], [], []]
    assert played.learned == {"dropped_fields": ("alpha",)}


def test_two_refusals_are_followed_and_both_changes_kept() -> None:
    played = play(unknown("alpha", "beta"), {"alpha": 1, "beta": 1}, {"alpha": 1, "beta": 1})
    assert members(played.bodies) == [["alpha", "beta"], ["beta"], [], []]
    assert tuple(played.learned["dropped_fields"]) == ("alpha", "beta")


def test_a_request_is_repeated_twice_and_no_more() -> None:
    names = dict.fromkeys(("alpha", "beta", "gamma", "delta"), 1)
    played = play(unknown(*names), names)
    assert len(played.bodies) == 3
    assert [verdict.split(":")[0] for verdict in played.verdicts[0]] == ["learn", "learn", "return"]
    assert played.learned == {}


def test_nothing_is_kept_of_a_change_that_another_failure_followed() -> None:
    def refuses(body: Json) -> str:
        return unknown("alpha")(body) or "no idea what you mean"

    played = play(refuses, {"alpha": 1})
    assert (members(played.bodies), played.learned) == ([["alpha"], []], {})


def test_a_change_that_did_not_help_is_undone_and_the_next_one_tried() -> None:
    def refuses(body: Json) -> str:
        return FORCED if body["tool_choice"]["type"] != "auto" else ""

    request = {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}
    played = play(refuses, request, request)
    seen = [(body["thinking"]["type"], body["tool_choice"]["type"]) for body in played.bodies]
    assert seen == [("adaptive", "any"), ("disabled", "any"), ("adaptive", "auto"), ("adaptive", "auto")]
    assert tuple(played.learned["refused_together"]) == ("forced_tool+thinking",)


def test_a_change_that_did_not_help_is_not_tried_again_by_later_requests() -> None:
    played = play(lambda body: "Unknown parameter: 'alpha'. Please remove it.", {"alpha": 1}, {"alpha": 1})
    assert members(played.bodies) == [["alpha"], [], ["alpha"]]
    assert (played.learned, len(played.unhelpful)) == ({}, 1)


def test_the_very_same_body_is_never_sent_twice() -> None:
    played = play(lambda body: "Unknown parameter: 'absent'.", {})
    assert len(played.bodies) == 1


@pytest.mark.parametrize(
    "message", ["Thought signature is not valid", "Expected `thinking`, but found `text`"]
)
def test_a_history_without_foreign_thinking_is_not_sent_again(message: str) -> None:
    assert len(play(lambda body: message, {}).bodies) == 1


def test_what_the_file_sets_is_not_tried() -> None:
    played = play(unknown("alpha"), {"alpha": 1}, capabilities={"dropped_fields": ["beta"]})
    assert len(played.bodies) == 1


def test_a_refusal_about_another_place_is_the_same_refusal() -> None:
    places = iter(range(9))
    played = play(
        lambda body: f"messages.{next(places)}.output_config: Extra inputs are not permitted",
        {
            "messages": [
                {"role": "user", "content": "Hi", "output_config": {}},
                {"role": "user", "content": "Hi"},
            ]
        },
    )
    assert len(played.bodies) == 2


@pytest.mark.parametrize("status", [401, 403, 409, 413, 429])
def test_no_other_failure_teaches_anything(status: int) -> None:
    played = play(unknown("alpha"), {"alpha": 1}, status=status)
    assert all("alpha" in body for body in played.bodies)

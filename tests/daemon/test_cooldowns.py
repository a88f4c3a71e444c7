"""Cooldowns that fit the cause, and errors that are classified by their meaning, end to end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, error_of, text_of
from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.upstream import Answer, ScriptedUpstream, say, status, whole
from tests.bed.wire import PROTOCOLS, Protocol

OVERFLOW = "prompt is too long: 250000 tokens > 200000 maximum"


@contextmanager
def pair(
    folder: Path, *first: Answer, second: Answer, protocol: Protocol = "messages", **failover: Any
) -> Iterator[tuple[Daemon, ScriptedUpstream, ScriptedUpstream]]:
    """A daemon with a primary and a backup."""
    with ScriptedUpstream(*first) as one, ScriptedUpstream(second) as other:
        entries = (
            upstream("first", one.url, protocol),
            upstream("second", other.url, protocol, role="backup"),
        )
        with Daemon(folder, settings(*entries, failover=failover)) as daemon:
            yield daemon, one, other


def body(code: int, content: Document) -> Answer:
    return lambda request: whole(code, json.dumps(content).encode())


def skipped(daemon: Daemon, model: str) -> dict[str, str]:
    explained = daemon.get(f"/api/explain?model={model}").json
    return {one["upstream"]: one["text"] for one in explained["skipped"]}


def said(response: Response) -> tuple[int, str]:
    return response.status, text_of("messages", response) if response.status == 200 else ""


@pytest.mark.parametrize(
    "message",
    ["当前模型负载过高，请稍后重试", "余额不足", "无效的令牌", "模型 m 不存在", "Rate limit exceeded"],
)
def test_a_400_that_is_not_the_clients_error_is_answered_by_the_next_upstream(
    tmp_path: Path, message: str
) -> None:
    with pair(tmp_path, status(400, message), second=say("second")) as (daemon, first, second):
        assert said(ask(daemon.url, "messages")) == (200, "second")
        assert (len(first.requests), len(second.requests)) == (1, 1)


def test_a_rate_limit_cools_down_the_model_and_an_exhausted_credit_the_whole_upstream(tmp_path: Path) -> None:
    answers = status(429, "Too many requests"), status(400, "余额不足")
    with pair(tmp_path, *answers, second=say("second")) as (daemon, first, _):
        ask(daemon.url, "messages", "small")
        assert "first" in skipped(daemon, "small")
        assert "first" not in skipped(daemon, "large")
        ask(daemon.url, "messages", "large")
        assert "余额不足" in skipped(daemon, "large")["first"]
        assert "first" in skipped(daemon, "other")
        assert len(first.requests) == 2


def test_a_rate_limit_of_the_account_cools_down_the_whole_upstream(tmp_path: Path) -> None:
    limited = status(429, "This request would exceed your account's rate limit.")
    with pair(tmp_path, limited, second=say("second")) as (daemon, _, _):
        ask(daemon.url, "messages", "small")
        assert "first" in skipped(daemon, "large")


def test_the_reset_of_a_quota_is_waited_for_beyond_the_longest_cooldown(tmp_path: Path) -> None:
    used_up = {"error": {"type": "usage_limit_reached", "message": "used up", "resets_in_seconds": 90_000}}
    rules: Document = {"max_cooldown_seconds": 1, "cooldown_seconds": 1}
    with pair(tmp_path, body(429, used_up), second=say("second"), **rules) as (daemon, _, _):
        ask(daemon.url, "messages")
        state = daemon.get("/api/state").json
    cooling = state["upstreams"][0]
    assert cooling["state"] == "cooldown"
    assert cooling["until"] > state["now"] + 80_000


def test_a_rule_for_a_text_has_precedence_over_one_for_the_status(tmp_path: Path) -> None:
    rules: Document = {
        "on_status": {"400": "return", "500": "switch"},
        "on_text": [
            {"match": "try SOMEBODY else", "action": "switch"},
            {"match": "final", "action": "return"},
        ],
    }
    answers = status(400, "Try somebody else."), status(500, "that is Final"), status(400, "no")
    with pair(tmp_path, *answers, second=say("second"), **rules) as (daemon, _, second):
        reported = [said(ask(daemon.url, "messages", stream=False)) for _ in answers]
        assert reported == [(200, "second"), (500, ""), (400, "")]
        assert len(second.requests) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_prompt_that_is_too_long_for_one_upstream_goes_to_the_next(
    tmp_path: Path, protocol: Protocol
) -> None:
    bed = pair(tmp_path, status(400, OVERFLOW), second=say("second"), protocol=protocol)
    with bed as (daemon, first, second):
        assert text_of(protocol, ask(daemon.url, protocol)) == "second"
        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert "first" not in skipped(daemon, "m")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_prompt_that_is_too_long_for_all_is_reported_so_that_the_client_compacts(
    tmp_path: Path, protocol: Protocol
) -> None:
    bed = pair(tmp_path, status(400, OVERFLOW), second=status(400, OVERFLOW), protocol=protocol)
    with bed as (daemon, first, second):
        response = ask(daemon.url, protocol, stream=False)
        error = error_of(protocol, response)
        assert (response.status, error["message"]) == (400, OVERFLOW)
        assert (len(first.requests), len(second.requests)) == (1, 1)

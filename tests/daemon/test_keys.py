"""Several keys in one entry: each is an account of its own, and no client notices that one is refused."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, holding_settings, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, closed_url, say, status, whole
from tests.bed.wire import PROTOCOLS, Protocol

KEYS = ["sk-first-0001", "sk-second-0002", "sk-third-0003"]
OF_KEY = {key: f"key {number}" for number, key in enumerate(KEYS, start=1)}


def key_of(received: Received) -> str:
    sent = received.header("authorization") or received.header("x-api-key") or ""
    return sent.removeprefix("Bearer ")


def by_key(**answers: Callable[[Received], Script]) -> Callable[[Received], Script]:
    """`first`, `second` and `third` answer otherwise than by naming their key."""

    def answer(received: Received) -> Script:
        name = key_of(received).split("-")[1]
        return answers.get(name, say(OF_KEY[key_of(received)]))(received)

    return answer


@pytest.fixture
def relay() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(by_key()) as server:
        yield server


def entry(
    server: ScriptedUpstream | str, count: int = 2, protocol: Protocol = "messages", **more: Any
) -> Any:
    url = server if isinstance(server, str) else server.url
    given = upstream("relay", url, protocol, keys=KEYS[:count], **more)
    return {name: value for name, value in given.items() if name != "key"}


def answering(daemon: Daemon, session: str = "", protocol: Protocol = "messages") -> str:
    headers = {"x-claude-code-session-id": session} if session else {}
    return text_of(protocol, ask(daemon.url, protocol, headers=headers))


def state_of(daemon: Daemon) -> list[tuple[str, str]]:
    (found,) = daemon.get("/api/state").json["upstreams"]
    return [(one["key"], one["state"]) for one in found["accounts"]]


def test_two_sessions_have_a_key_each_always(tmp_path: Path, relay: ScriptedUpstream) -> None:
    with Daemon(tmp_path, settings(entry(relay))) as daemon:
        for _ in range(4):
            assert (answering(daemon, "a"), answering(daemon, "b")) == ("key 1", "key 2")


def test_two_sessions_that_begin_at_once_have_a_key_each(tmp_path: Path, relay: ScriptedUpstream) -> None:
    release = threading.Event()
    relay.script(lambda received: [Hold(release), *say(OF_KEY[key_of(received)])(received)])
    with Daemon(tmp_path, settings(entry(relay))) as daemon, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(answering, daemon, session) for session in "abab"]
        relay.wait_for(4)
        release.set()
        found = [one.result(PATIENCE_SECONDS) for one in asked]
    assert sorted({*zip("abab", found, strict=True)}, key=lambda one: one[1]) in (
        [("a", "key 1"), ("b", "key 2")],
        [("b", "key 1"), ("a", "key 2")],
    )


def test_requests_without_a_session_are_spread_evenly(tmp_path: Path, relay: ScriptedUpstream) -> None:
    with Daemon(tmp_path, settings(entry(relay, 3))) as daemon:
        assert Counter(answering(daemon) for _ in range(6)) == dict.fromkeys(OF_KEY.values(), 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("code", "state"), [(401, "cooldown"), (403, "cooldown"), (402, "cooldown"), (429, "ready")]
)
def test_a_refused_key_rests_alone_and_the_next_one_answers_at_once(
    tmp_path: Path, relay: ScriptedUpstream, protocol: Protocol, code: int, state: str
) -> None:
    relay.script(by_key(first=status(code)))
    with Daemon(tmp_path, settings(entry(relay, protocol=protocol))) as daemon:
        answers = [answering(daemon, "a", protocol) for _ in range(3)]
        states = state_of(daemon)
        (rows, journal) = daemon.get("/api/requests").json["requests"], daemon.journal()
        detail = daemon.get(f"/api/requests/{rows[-1]['id']}").json
        everything = daemon.all_written() + json.dumps([detail, daemon.get("/api/state").json, journal])
    assert answers == ["key 2"] * 3
    # a rate limit is one of the model, as it names no account
    assert states == [("key 1", state), ("key 2", "ready")]
    assert [key_of(one) for one in relay.requests] == [KEYS[0], KEYS[1], KEYS[1], KEYS[1]]
    assert [(one["upstream"], one["key"], one["status"]) for one in detail["attempts"]] == [
        ("relay", "key 1", code),
        ("relay", "key 2", 200),
    ]
    assert [(line["upstream"], line["key"]) for line in journal] == [("relay", "key 2")] * 3
    assert not any(key in everything for key in KEYS)


def test_a_conversation_keeps_its_key_and_moves_only_when_it_is_refused(
    tmp_path: Path, relay: ScriptedUpstream
) -> None:
    with Daemon(tmp_path, settings(entry(relay, 3))) as daemon:
        assert [answering(daemon, session) for session in "abc"] == ["key 1", "key 2", "key 3"]
        relay.script(by_key(second=status(401)))
        moved = answering(daemon, "b")
        assert moved in ("key 1", "key 3")
        relay.script(by_key())
        daemon.post("/api/upstreams/clear", {"name": "relay"})
        assert [answering(daemon, session) for session in "abc"] == ["key 1", moved, "key 3"]


def test_when_all_keys_are_refused_the_next_upstream_answers(tmp_path: Path, relay: ScriptedUpstream) -> None:
    relay.script(status(401))
    with ScriptedUpstream(say("other")) as other:
        entries = [entry(relay, 3), upstream("other", other.url)]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            assert [answering(daemon), answering(daemon)] == ["other", "other"]
    assert sorted(key_of(one) for one in relay.requests) == KEYS


def test_the_limits_of_an_entry_are_those_of_each_key(tmp_path: Path, relay: ScriptedUpstream) -> None:
    release = threading.Event()
    relay.script(lambda received: [Hold(release), *say(OF_KEY[key_of(received)])(received)])
    with Daemon(tmp_path, settings(entry(relay, max_concurrency=1))) as daemon, ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(answering, daemon) for _ in range(3)]
        relay.wait_for(2)
        wait_until(lambda: len(daemon.get("/api/state").json["running"]) == 3, "the third request")
        assert state_of(daemon) == [("key 1", "busy"), ("key 2", "busy")]
        assert len(relay.requests) == 2
        release.set()
        found = Counter(one.result(PATIENCE_SECONDS) for one in asked)
    assert sorted(found.values()) == [1, 2]


def test_a_host_that_cannot_be_reached_is_tried_with_one_key_only(tmp_path: Path) -> None:
    with ScriptedUpstream(say("other")) as other:
        entries = [entry(closed_url(), 3), upstream("other", other.url)]
        with Daemon(tmp_path, settings(*entries, failover={"error_threshold": 1})) as daemon:
            assert answering(daemon) == "other"
            (row,) = daemon.get("/api/requests").json["requests"]
            states = daemon.get("/api/state").json["upstreams"][0]
            assert answering(daemon) == "other"
            later = daemon.get("/api/requests").json["requests"][0]
    assert (row["attempts"], later["attempts"]) == (2, 1)
    assert {one["state"] for one in states["accounts"]} == {"cooldown"} == {states["state"]}


def test_a_model_that_one_key_lacks_is_asked_of_the_others(tmp_path: Path, relay: ScriptedUpstream) -> None:
    missing = whole(404, b'{"type": "error", "error": {"type": "not_found_error", "message": "model: m"}}')
    relay.script(by_key(first=lambda received: missing))
    with Daemon(tmp_path, settings(entry(relay))) as daemon:
        assert [answering(daemon) for _ in range(3)] == ["key 2"] * 3
    assert [key_of(one) for one in relay.requests].count(KEYS[0]) == 1


def test_an_edit_of_the_list_keeps_what_is_known_of_the_keys_that_stay(
    tmp_path: Path, relay: ScriptedUpstream
) -> None:
    relay.script(by_key(second=status(401)))
    with Daemon(tmp_path, settings(entry(relay, 3))) as daemon:
        assert [answering(daemon, session) for session in "abc"][1] != "key 2"
        assert state_of(daemon)[1] == ("key 2", "cooldown")
        moved = entry(relay) | {"keys": [KEYS[1], KEYS[2]], "name": "renamed"}
        daemon.change_settings(settings(moved))
        assert state_of(daemon) == [("key 1", "cooldown"), ("key 2", "ready")]


def test_a_key_that_takes_the_position_of_a_removed_one_has_nothing_of_its_state(
    tmp_path: Path, relay: ScriptedUpstream
) -> None:
    relay.script(by_key(first=status(401)))
    with Daemon(tmp_path, settings(entry(relay))) as daemon:
        assert answering(daemon) == "key 2"
        assert state_of(daemon) == [("key 1", "cooldown"), ("key 2", "ready")]
        daemon.change_settings(settings(entry(relay) | {"keys": [KEYS[1], KEYS[2]]}))
        assert state_of(daemon) == [("key 1", "ready"), ("key 2", "ready")]


def test_a_request_that_runs_while_its_entry_is_renamed_keeps_its_slot(
    tmp_path: Path, relay: ScriptedUpstream
) -> None:
    ends = threading.Event()
    relay.script(by_key(first=lambda received: [Hold(ends), *say("key 1")(received)]))
    first = entry(relay, max_concurrency=1)
    with Daemon(tmp_path, settings(first)) as daemon, ThreadPoolExecutor(2) as pool:
        running = pool.submit(ask, daemon.url, "messages", "relay (key 1),m")
        wait_until(lambda: len(relay.requests) == 1, "the first request")
        daemon.change_settings(settings(first | {"name": "renamed", "keys": [KEYS[1], KEYS[0]]}))
        waiting = pool.submit(ask, daemon.url, "messages", "renamed (key 2),m")
        wait_until(lambda: len(daemon.get("/api/state").json["running"]) == 2, "the second request")
        under_way = [one["under_way"] for one in daemon.get("/api/state").json["upstreams"][0]["accounts"]]
        assert (under_way, len(relay.requests)) == ([0, 1], 1)
        ends.set()
        assert [text_of("messages", one.result()) for one in (running, waiting)] == ["key 1"] * 2


def test_explain_names_the_keys_and_a_model_name_selects_one(tmp_path: Path, relay: ScriptedUpstream) -> None:
    relay.script(by_key(first=status(401)))
    with Daemon(tmp_path, settings(entry(relay))) as daemon:
        assert text_of("messages", ask(daemon.url, "messages", "relay,m")) == "key 2"
        assert text_of("messages", ask(daemon.url, "messages", "relay (key 2),m")) == "key 2"
        code, text = daemon.command("explain", "--model", "m")
    assert (code, text.splitlines()[0]) == (0, "1. relay (key 2) -> m (primary)")
    assert text.splitlines()[1].startswith("skipped: relay (key 1): cooling down until")


def test_a_test_asks_with_each_key_and_names_the_one_that_is_refused(
    tmp_path: Path, relay: ScriptedUpstream
) -> None:
    with Daemon(tmp_path, settings(entry(relay))) as daemon:
        good = daemon.post("/api/upstreams/test", {"name": "relay"}).json
        assert [key_of(one) for one in relay.requests] == KEYS[:2]
        relay.script(by_key(second=status(401)))
        bad = daemon.post("/api/upstreams/test", {"name": "relay"}).json
    assert (good["ok"], bad["ok"]) == (True, False)
    assert bad["steps"][-1]["detail"].startswith("key 2: 401")


def test_each_key_is_activated(tmp_path: Path, relay: ScriptedUpstream) -> None:
    with Daemon(tmp_path, settings(entry(relay, 3, activation={"at": "08:00"}))) as daemon:
        assert daemon.post("/api/upstreams/activate", {"name": "relay"}).json["ok"]
    assert sorted(key_of(one) for one in relay.requests) == KEYS


def test_a_request_is_held_while_all_keys_fail_and_each_is_tried_again(
    tmp_path: Path, relay: ScriptedUpstream
) -> None:
    failing = status(503)
    relay.script(failing, failing, failing, by_key())
    with Daemon(tmp_path, holding_settings(entry(relay))) as daemon:
        assert answering(daemon, "a").startswith("key ")
        (row,) = daemon.get("/api/requests").json["requests"]
    assert row["held"] > 0 and row["attempts"] == 4
    assert {key_of(one) for one in relay.requests} == {*KEYS[:2]}


def test_a_held_request_tries_a_new_key_again_although_the_old_one_was_to_cool_down_for_an_hour(
    tmp_path: Path, relay: ScriptedUpstream
) -> None:
    used_up = status(429, headers={"retry-after": "3600"})
    relay.script(used_up, used_up, status(503), by_key())
    with ScriptedUpstream(status(503)) as busy, ThreadPoolExecutor(1) as pool:
        other = upstream("busy", busy.url)
        with Daemon(tmp_path, holding_settings(entry(relay), other)) as daemon:
            assert ask(daemon.url, "messages", "relay (key 1),m").status == 429
            assert ask(daemon.url, "messages", "relay (key 2),m").status == 429
            held = pool.submit(ask, daemon.url, "messages", "m")
            wait_until(lambda: daemon.get("/api/state").json["held"], "the held request")
            daemon.change_settings(holding_settings(entry(relay) | {"keys": [KEYS[2]]}, other))
            assert text_of("messages", held.result(PATIENCE_SECONDS)) == "key 3"


def test_what_is_used_now_uses_all_its_keys(tmp_path: Path, relay: ScriptedUpstream) -> None:
    with ScriptedUpstream(say("other")) as other:
        entries = [upstream("other", other.url), entry(relay)]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            daemon.command("use", "relay")
            assert (answering(daemon, "a"), answering(daemon, "b")) == ("key 1", "key 2")
            relay.script(by_key(first=status(401)))
            assert answering(daemon, "a") == "key 2"
            relay.script(status(401))
            assert answering(daemon, "a") == "other"
            code, said = daemon.command("use")
    assert code == 0 and '"relay" is to answer first' in said and '("relay": cooling down until' in said


def test_a_rule_names_the_entry_and_leads_to_all_its_keys(tmp_path: Path, relay: ScriptedUpstream) -> None:
    relay.script(by_key(first=status(401)))
    with ScriptedUpstream(say("other")) as other:
        entries = [upstream("other", other.url), entry(relay)]
        with Daemon(tmp_path, settings(*entries, routes=[{"upstreams": ["relay"], "only": True}])) as daemon:
            assert [answering(daemon), answering(daemon)] == ["key 2", "key 2"]
            relay.script(status(401))
            refused = ask(daemon.url, "messages", stream=False)
    assert refused.status == 401 and "relay (key 2)" in refused.text and not other.requests


def test_check_names_the_keys_whose_variables_are_not_set(tmp_path: Path, relay: ScriptedUpstream) -> None:
    given = entry(relay) | {"keys": ["env:SET_KEY", "env:UNSET_KEY"]}
    with Daemon(tmp_path, settings(given), {"SET_KEY": KEYS[0]}) as daemon:
        code, said = daemon.command("check")
        assert answering(daemon, "a") == answering(daemon, "b") == "key 1"
        doctor = daemon.command("doctor")[1]
    assert code == 0
    assert (
        'note: upstream "relay (key 2)": its key is in the variable UNSET_KEY, which is not set here' in said
    )
    assert "relay (key 2): its key is in the variable UNSET_KEY" in doctor


def test_a_change_of_the_list_is_shown_without_the_keys(tmp_path: Path, relay: ScriptedUpstream) -> None:
    with Daemon(tmp_path, settings(entry(relay))) as daemon:
        revision = daemon.get("/health").json["revision"]
        changes = {"keys": [1, "sk-new-0004", 0]}
        body = {"name": "relay", "changes": changes, "revision": revision}
        assert daemon.post("/api/upstreams/update", body).status == 200
        assert daemon_keys(daemon) == [KEYS[1], "sk-new-0004", KEYS[0]]
        versions = daemon.get("/api/history").json["versions"]
        shown = daemon.get(f"/api/history/diff?from={versions[-1]['id']}&to=current").text
        shown += json.dumps(daemon.get("/api/configs").json)
    assert not any(key in shown for key in (*KEYS, "sk-new-0004"))


def daemon_keys(daemon: Daemon) -> list[str]:
    found: list[str] = json.loads(daemon.settings_path.read_text())["upstreams"][0]["keys"]
    return found

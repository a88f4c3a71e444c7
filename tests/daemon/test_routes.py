"""Rules over real sockets: who sends a request, and for what, decides where it goes."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS, ask, error_of, question, text_of
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, fixed, say, whole
from tests.bed.wire import Protocol

CLAUDE = {"user-agent": "claude-cli/2.1.332 (external, cli)", "x-claude-code-session-id": "s"}
CODEX = {"user-agent": "codex_exec/0.171.0", "session-id": "s", "thread-id": "s"}
TITLE: Any = {"output_config": {"format": {"type": "json_schema", "schema": {"properties": {"title": {}}}}}}
ENVIRONMENT = "# Environment\n - Primary working directory: /home/me/company/app\n - Platform: linux"


def send(
    daemon: Daemon, protocol: Protocol = "messages", headers: dict[str, str] = CLAUDE, **more: Any
) -> Response:
    text = more.pop("text", "Hello")
    return request(
        daemon.url, "POST", PATHS[protocol], question(protocol, "m", text, stream=False) | more, headers
    )


def said(
    daemon: Daemon, protocol: Protocol = "messages", headers: dict[str, str] = CLAUDE, **more: Any
) -> str:
    return text_of(protocol, send(daemon, protocol, headers, **more))


@pytest.mark.parametrize(
    ("when", "protocol", "headers", "body"),
    [
        ({"subagent": True}, "messages", CLAUDE | {"x-claude-code-agent-id": "a1"}, {}),
        ({"subagent": True}, "responses", CODEX | {"x-openai-subagent": "review"}, {}),
        ({"background": True}, "messages", CLAUDE, TITLE),
        ({"compaction": True}, "messages", CLAUDE, {"text": "CRITICAL: Respond with TEXT ONLY. Sum up."}),
        ({"thinking": True}, "messages", CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ({"effort": "high"}, "chat", {}, {"reasoning_effort": "high"}),
        ({"web_search": True}, "messages", CLAUDE, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ({"tokens_over": 2000}, "messages", CLAUDE, {"text": "word and more " * 1000}),
        ({"project": "~/company/*"}, "messages", CLAUDE, {"text": ENVIRONMENT}),
        ({"client": "codex", "project": "/x/*"}, "responses", CODEX, {"text": "<cwd>/x/y</cwd>"}),
        ({"client": "opencode/*"}, "chat", {"user-agent": "opencode/1.18"}, {}),
        ({"model": "m*", "protocol": "chat"}, "chat", {}, {}),
    ],
)  # fmt: skip
def test_a_request_that_matches_goes_to_the_upstream_of_the_rule_and_no_other_does(
    tmp_path: Path, when: dict[str, Any], protocol: Protocol, headers: dict[str, str], body: dict[str, Any]
) -> None:
    with ScriptedUpstream(say("main")) as main, ScriptedUpstream(say("ruled")) as ruled:
        entries = [upstream("main", main.url, protocol), upstream("other", ruled.url, protocol)]
        rule = {"name": "mine", "when": when, "upstreams": ["other"], "model": "qwen3-coder"}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            assert said(daemon, protocol, headers, **body) == "ruled"
            assert said(daemon, "messages", {}) == "main"
            rows = daemon.get("/api/requests").json["requests"]
    assert [received.json["model"] for received in ruled.requests] == ["qwen3-coder"]
    assert [(row["upstream"], row["rule"]) for row in rows] == [("main", ""), ("other", "mine")]


def test_the_project_is_remembered_for_requests_that_do_not_state_it(tmp_path: Path) -> None:
    with ScriptedUpstream(say("main")) as main, ScriptedUpstream(say("company")) as company:
        entries = [upstream("main", main.url), upstream("company", company.url)]
        rule = {"when": {"project": "~/company/*"}, "upstreams": ["company"], "only": True}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            assert said(daemon, text=ENVIRONMENT) == "company"
            assert said(daemon, **TITLE) == "company"
            assert said(daemon, headers=CLAUDE | {"x-claude-code-session-id": "other"}) == "main"
            rows = daemon.get("/api/requests").json["requests"]
    assert [row["project"] for row in rows] == ["", "/home/me/company/app", "/home/me/company/app"]


def test_only_never_shows_a_prompt_to_another_upstream_not_even_to_count_it(tmp_path: Path) -> None:
    broken = fixed(whole(503, b'{"error": {"message": "down"}}'))
    with ScriptedUpstream(say("main")) as main, ScriptedUpstream(broken) as company:
        entries = [upstream("main", main.url), upstream("company", company.url)]
        rule = {"when": {"project": "~/company/*"}, "upstreams": ["company"], "only": True}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            answered = send(daemon, text=ENVIRONMENT)
            counted = request(
                daemon.url,
                "POST",
                "/v1/messages/count_tokens",
                question("messages", "m", ENVIRONMENT),
                CLAUDE,
            )
            latest = daemon.get("/api/requests").json["requests"][0]["id"]
            skipped = daemon.get(f"/api/requests/{latest}").json["skipped"]
    assert answered.status == 503
    assert skipped == [{"upstream": "main", "text": "rule 1 allows only company"}]
    assert counted.json["input_tokens"] > 0
    assert main.requests == []


def test_a_failed_upstream_of_a_rule_is_followed_by_the_others_with_the_requested_model(
    tmp_path: Path,
) -> None:
    broken = fixed(whole(503, b'{"error": {"message": "down"}}'))
    with ScriptedUpstream(say("main")) as main, ScriptedUpstream(broken) as local:
        entries = [upstream("main", main.url), upstream("local", local.url, "chat")]
        rule = {"upstreams": ["local"], "model": "qwen"}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            assert said(daemon) == "main"
    assert [main.requests[0].json["model"], local.requests[0].json["model"]] == ["m", "qwen"]


@pytest.mark.parametrize(
    ("protocol", "headers", "other"),
    [
        ("messages", CLAUDE, {"headers": CLAUDE | {"x-claude-code-agent-id": "a1"}}),
        ("responses", CODEX, {"headers": CODEX | {"thread-id": "t1"}}),
        ("messages", CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
    ids=["an agent of Claude Code", "a thread of Codex", "a rule"],
)
def test_each_sub_agent_and_rule_has_an_upstream_of_its_own(
    tmp_path: Path, protocol: Protocol, headers: dict[str, str], other: dict[str, Any]
) -> None:
    """After a failover of the one, the conversation stays where it is, and so does the other."""
    with ScriptedUpstream(say("a")) as a, ScriptedUpstream(say("b")) as b:
        entries = [upstream("a", a.url, protocol), upstream("b", b.url, protocol)]
        rule = {"when": {"thinking": True}, "upstreams": ["a", "b"]}
        document = settings(*entries, routes=[rule], failover={"cooldown_start_seconds": 0})
        with Daemon(tmp_path, document) as daemon:
            a.script(say("a"), fixed(whole(503, b"{}")), say("a"))
            plain, marked = {"headers": headers}, {"headers": headers, **other}
            for _ in range(3):
                assert [said(daemon, protocol, **kind) for kind in (plain, marked)] == ["a", "b"]


@pytest.mark.parametrize("role", ["primary", "rescue"])
def test_a_full_upstream_of_a_rule_is_waited_for_whatever_its_role(tmp_path: Path, role: str) -> None:
    release = threading.Event()

    def held(request: Received) -> Script:
        return [Hold(release), *say("ruled")(request)]

    with ScriptedUpstream(say("main")) as main, ScriptedUpstream(held) as ruled:
        entries = [upstream("main", main.url), upstream("other", ruled.url, role=role, max_concurrency=1)]
        rule = {"upstreams": ["other"], "only": True}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon, ThreadPoolExecutor(2) as pool:
            first = pool.submit(said, daemon)
            ruled.wait_for()
            second = pool.submit(said, daemon)
            wait_until(lambda: len(daemon.get("/api/state").json["running"]) == 2, "the second request")
            release.set()
            answers = [one.result(PATIENCE_SECONDS) for one in (first, second)]
    assert (answers, main.requests) == (["ruled", "ruled"], [])


def test_a_changed_rule_holds_for_the_next_request(tmp_path: Path) -> None:
    with ScriptedUpstream(say("a")) as a, ScriptedUpstream(say("b")) as b:
        entries = [upstream("a", a.url), upstream("b", b.url)]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            assert said(daemon) == "a"
            daemon.change_settings(settings(*entries, routes=[{"upstreams": ["b"]}]))
            assert said(daemon) == "b"
            daemon.change_settings(settings(*entries))
            assert said(daemon) == "a"


def test_a_model_name_that_selects_an_upstream_takes_precedence(tmp_path: Path) -> None:
    with ScriptedUpstream(say("a")) as a, ScriptedUpstream(say("b")) as b:
        entries = [upstream("a", a.url), upstream("b", b.url)]
        with Daemon(tmp_path, settings(*entries, routes=[{"upstreams": ["b"], "only": True}])) as daemon:
            answered = ask(daemon.url, "messages", "a,m", stream=False)
            assert text_of("messages", answered) == "a"


def test_explain_names_the_rule_that_decides_for_a_request_of_this_kind(tmp_path: Path) -> None:
    entries = [upstream("a", "http://127.0.0.1:9"), upstream("b", "http://127.0.0.1:9")]
    rules = [
        {"name": "agents", "when": {"subagent": True}, "upstreams": ["b"], "model": "n", "only": True},
        {"when": {"project": "~/x", "tokens_over": 5}, "upstreams": ["b"]},
    ]
    with Daemon(tmp_path, settings(*entries, routes=rules)) as daemon:
        found = {
            query: (route["rule"], [(one["upstream"], one["model"]) for one in route["candidates"]])
            for query in ("", "&subagent=true", "&project=/home/me/x&tokens=6", "&project=/home/me/x")
            for route in [daemon.get(f"/api/explain?model=m{query}").json]
        }
        text = daemon.command("explain", "--model", "m", "--subagent")[1].splitlines()
        assert daemon.get("/api/explain?model=m&tokens=many").status == 400
    plain = ("", [("a", "m"), ("b", "m")])
    assert found == {
        "": plain,
        "&subagent=true": ('rule "agents"', [("b", "n")]),
        "&project=/home/me/x&tokens=6": ("rule 2", [("b", "m"), ("a", "m")]),
        "&project=/home/me/x": plain,
    }
    assert text[:2] == ['rule "agents" applies', '1. b -> n (primary, rule "agents")']


def test_the_journal_has_the_rule_and_the_project(tmp_path: Path) -> None:
    with ScriptedUpstream(say("a")) as a:
        rules = [
            {"when": {"project": "/x"}, "model": "n"},
            {"name": "rest", "when": {"client": "claude-code"}},
        ]
        with Daemon(tmp_path, settings(upstream("a", a.url), routes=rules)) as daemon:
            send(daemon, text=ENVIRONMENT)
        (journal,) = (daemon.data / "usage").glob("*.jsonl")
        line = json.loads(journal.read_text())
    assert (line["rule"], line["project"]) == ("rest", "/home/me/company/app")


def test_the_journal_has_the_project_of_a_session_without_any_rule(tmp_path: Path) -> None:
    with ScriptedUpstream(say("a")) as a:
        with Daemon(tmp_path, settings(upstream("a", a.url))) as daemon:
            send(daemon, text=ENVIRONMENT)
            send(daemon, **TITLE)
            send(daemon, headers=CLAUDE | {"x-claude-code-session-id": "other"})
            send(daemon, "responses", CODEX | {"session-id": "c"}, text="<cwd>/x/y</cwd>")
            send(daemon, "chat", {"user-agent": "opencode/1.18"}, text=ENVIRONMENT)
            projects = [line.get("project", "") for line in daemon.journal()]
    assert projects == ["/home/me/company/app", "/home/me/company/app", "", "/x/y", ""]


def test_an_upstream_that_a_rule_excludes_is_named_where_nothing_can_answer(tmp_path: Path) -> None:
    with ScriptedUpstream(say("a")) as a:
        entries = [upstream("a", a.url), upstream("b", "http://127.0.0.1:9", enabled=False)]
        with Daemon(tmp_path, settings(*entries, routes=[{"upstreams": ["b"], "only": True}])) as daemon:
            answered = send(daemon)
    assert '"a": rule 1 allows only b' in error_of("messages", answered)["message"]
    assert a.requests == []


@pytest.mark.parametrize("protocol", ["messages", "chat"])
def test_effort_and_limit_of_a_rule_reach_its_upstream_only(tmp_path: Path, protocol: Protocol) -> None:
    broken = fixed(whole(503, b'{"error": {"message": "down"}}'))
    with ScriptedUpstream(broken) as local, ScriptedUpstream(say("main")) as main:
        entries = [upstream("main", main.url), upstream("local", local.url, protocol)]
        rule = {"upstreams": ["local"], "effort": "low", "max_tokens": 2000}
        with Daemon(tmp_path, settings(*entries, routes=[rule])) as daemon:
            send(daemon, max_tokens=9000, output_config={"effort": "high"}, thinking={"type": "adaptive"})
    (ruled,), (plain,) = local.requests, main.requests
    effort = (
        ruled.json["output_config"]["effort"] if protocol == "messages" else ruled.json["reasoning_effort"]
    )
    limit = ruled.json.get("max_tokens") or ruled.json["max_completion_tokens"]
    assert (effort, limit) == ("low", 2000)
    assert (plain.json["output_config"]["effort"], plain.json["max_tokens"]) == ("high", 9000)


def test_rules_are_edited_over_the_api_and_follow_a_renamed_upstream(tmp_path: Path) -> None:
    entries = [upstream("a", "http://127.0.0.1:9"), upstream("b", "http://127.0.0.1:9")]
    rules = [{"when": {"subagent": True}, "upstreams": ["b", "a"], "only": True}]
    with Daemon(tmp_path, settings(*entries)) as daemon:

        def change(path: str, **body: Any) -> Response:
            return daemon.post(path, body | {"revision": daemon.get("/health").json["revision"]})

        wrong = change("/api/settings", changes={"routes": [{"upstreams": ["c"]}]})
        assert change("/api/settings", changes={"routes": rules}).status == 200
        assert change("/api/upstreams/update", name="b", changes={"name": "c"}).status == 200
        deleted = change("/api/upstreams/delete", name="c")
        assert daemon.get("/api/configs").json["routes"] == [rules[0] | {"upstreams": ["c", "a"]}]
        assert daemon.get("/api/explain?model=m&subagent=true").json["candidates"][0]["upstream"] == "c"
    assert wrong.status == 422
    assert "routes[0].upstreams[0]" in wrong.text and "the name of an upstream" in wrong.text
    assert deleted.status == 409
    assert deleted.json["error"]["message"] == '"c" is named in rule 1. Remove it there first.'


LISTS: dict[Protocol, tuple[str, str, dict[str, str]]] = {
    "messages": ("/v1/models", "data", CLAUDE | {"anthropic-version": "2023-06-01"}),
    "responses": ("/openai/models?client_version=0.171.0", "models", CODEX),
    "chat": ("/v1/models", "data", {"user-agent": "opencode/1.18"}),
}


@pytest.mark.parametrize(
    ("protocol", "listed"),
    [
        ("messages", {"fast": 32_000, "qwen3": 32_000}),
        ("responses", {"fast": 32_000, "qwen3": 32_000, "big": 64_000}),
        ("chat", {"qwen3": 32_000, "big": 64_000}),
    ],
)
def test_the_list_of_models_holds_exactly_what_the_rules_lead_to_for_the_client_that_asks(
    tmp_path: Path, protocol: Protocol, listed: dict[str, int]
) -> None:
    with ScriptedUpstream(say("ok")) as local, ScriptedUpstream(say("ok")) as other:
        entries = [
            upstream("local", local.url, "chat", models=["qwen3"], context_window=32_000),
            upstream("other", other.url, "responses", models=["big"], context_window=64_000),
        ]
        named = {"client": ["claude-code", "codex"], "model": "fast"}
        rules = [
            {"when": named, "upstreams": ["local"], "model": "qwen3-coder"},
            {"when": {"client": "claude-code"}, "upstreams": ["local"], "only": True},
        ]
        with Daemon(tmp_path, settings(*entries, routes=rules)) as daemon:
            path, field, headers = LISTS[protocol]
            found = daemon.get(path, headers).json[field]
            answered = set()
            for model in ("fast", "qwen3", "big", "unheard-of"):
                before = len(local.requests) + len(other.requests)
                request(daemon.url, "POST", PATHS[protocol], question(protocol, model), headers)
                answered |= {model} if len(local.requests) + len(other.requests) > before else set()
            one = daemon.get("/v1/models/fast", headers).status
    assert {model.get("slug") or model["id"]: model["context_window"] for model in found} == listed
    assert all(model["display_name"] for model in found)
    assert answered == set(listed)
    assert one == (200 if "fast" in listed else 404)

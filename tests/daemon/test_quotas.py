"""The quotas that answers report: in the overview and the status line, and new conversations leave before the limit."""

from pathlib import Path
from typing import Any

from tests.bed.asking import PATHS, ask, question, text_of
from tests.bed.daemon import Daemon, Document, Response, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say, whole

NEARLY_FULL = {
    "anthropic-ratelimit-unified-5h-status": "allowed_warning",
    "anthropic-ratelimit-unified-5h-reset": "9999999999",
    "anthropic-ratelimit-unified-5h-utilization": "0.91",
    "anthropic-ratelimit-unified-7d-reset": "9999999999",
    "anthropic-ratelimit-unified-7d-utilization": "0.2",
}


def quotas(daemon: Daemon, index: int = 0) -> list[tuple[str, float]]:
    state: Document = daemon.get("/api/state").json["upstreams"][index]
    return [(one["window"], one["used"]) for one in state["quotas"]]


def in_session(daemon: Daemon, session: str) -> Response:
    body: dict[str, Any] = question("messages", "m") | {"metadata": {"user_id": f"user_x_session_{session}"}}
    return request(daemon.url, "POST", PATHS["messages"], body)


def test_the_quotas_that_an_answer_reports_are_shown(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(say("hello", headers=NEARLY_FULL)) as server,
        Daemon(tmp_path, settings(upstream("plan", server.url))) as daemon,
    ):
        ask(daemon.url, "messages")
        assert quotas(daemon) == [("5h", 0.91), ("7d", 0.2)]
        assert daemon.get("/statusline").text.startswith("plan, 5h 91% | ")
        assert daemon.get("/api/state").json["upstreams"][0]["quotas"][0]["full_at"] is None


def test_the_quotas_of_an_error_count_too_and_each_key_has_its_own(tmp_path: Path) -> None:
    headers = {"x-codex-primary-used-percent": "100", "x-codex-primary-reset-after-seconds": "900"}

    def by_key(received: Any) -> Any:
        if b"sk-1" in received.raw:
            return whole(429, b'{"error": {"message": "usage limit reached"}}', headers=headers)
        return say("second", headers={**headers, "x-codex-primary-used-percent": "40"})(received)

    entry = {"name": "team", "protocol": "messages", "keys": ["sk-1", "sk-2"]}
    with ScriptedUpstream(by_key) as server:
        entry["base_url"] = server.url
        with Daemon(tmp_path, settings(entry)) as daemon:
            assert text_of("messages", ask(daemon.url, "messages")) == "second"
            accounts = daemon.get("/api/state").json["upstreams"][0]["accounts"]
    assert [[one["used"] for one in account["quotas"]] for account in accounts] == [[1.0], [0.4]]


def test_new_conversations_leave_before_the_limit_and_running_ones_stay(tmp_path: Path) -> None:
    with ScriptedUpstream(say("plan", headers=NEARLY_FULL)) as plan, ScriptedUpstream(say("paid")) as paid:
        entries = [
            upstream("plan", plan.url, leave_at_percent=85),
            upstream("paid", paid.url, role="backup"),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            first = "3f0c8f0e-0000-4000-8000-000000000001"
            other = "3f0c8f0e-0000-4000-8000-000000000002"
            said = [text_of("messages", in_session(daemon, one)) for one in (first, first, other, first)]
            route = daemon.get("/api/explain?client=messages&model=m").json
            explained = daemon.command("explain", "--model", "m")[1]
    assert said == ["plan", "plan", "paid", "plan"]
    text = "91% of its 5h quota is used, new conversations leave at 85% until"
    assert [(skip["upstream"], skip["reason"]) for skip in route["skipped"]] == [("plan", "quota")]
    assert route["skipped"][0]["text"].startswith(text)
    assert text in explained


def test_a_quota_is_forgotten_with_its_account_and_kept_under_a_new_name(tmp_path: Path) -> None:
    with ScriptedUpstream(say("hello", headers=NEARLY_FULL)) as server:
        entry = upstream("plan", server.url)
        with Daemon(tmp_path, settings(entry)) as daemon:
            ask(daemon.url, "messages")
            daemon.change_settings(settings({**entry, "name": "renamed"}))
            assert len(quotas(daemon)) == 2
            daemon.change_settings(settings({**entry, "name": "renamed", "key": "sk-other"}))
            assert quotas(daemon) == []

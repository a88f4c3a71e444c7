"""Notifications of a running daemon: to a webhook and a command, once per cause, never in the way of a request."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import Received, Script, ScriptedUpstream, Wait, say, whole

SECRET = "/hook/very-secret-part"


def received(request: Received) -> Script:
    return whole(200, b"ok")


def refused(request: Received) -> Script:
    return whole(503, b'{"error": {"message": "overloaded"}}')


def silent(request: Received) -> Script:
    return [Wait()]


def events(hook: ScriptedUpstream) -> list[tuple[str, str]]:
    return [(one.json["event"], one.json["text"]) for one in hook.requests]


def kinds(hook: ScriptedUpstream) -> set[str]:
    return {kind for kind, _ in events(hook)}


def with_notify(*entries: Document, notify: Document, **more: Any) -> Document:
    return settings(*entries, notify=notify, failover={"error_threshold": 1, **more})


def test_a_failover_a_cooldown_and_a_recovery_are_posted_once(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(received) as hook,
        ScriptedUpstream(refused) as first,
        ScriptedUpstream(say("second")) as second,
    ):
        entries = [upstream("first", first.url), upstream("second", second.url)]
        document = with_notify(*entries, notify={"url": f"{hook.url}{SECRET}"})
        with Daemon(tmp_path, document) as daemon:
            assert text_of("messages", ask(daemon.url, "messages")) == "second"
            wait_until(lambda: kinds(hook) == {"switch", "cooldown"}, "two notifications")
            first.script(say("first"))
            daemon.post("/api/upstreams/clear", {"name": "first"})
            wait_until(lambda: "recovered" in kinds(hook), "the recovery")
            first.script(refused)
            # the same causes again within 10 minutes
            assert text_of("messages", ask(daemon.url, "messages")) == "second"
            daemon.post("/api/upstreams/clear", {"name": "first"})
            assert daemon.post("/api/notify/test").json == {"ok": True, "detail": ""}
            found = events(hook)
            everything = daemon.all_written()
    assert len(found) == 4, found
    assert dict(found)["recovered"] == 'model m of "first" answers again'
    assert dict(found)["switch"].startswith('"second" has answered instead of "first": ')
    assert {one.path for one in hook.requests} == {SECRET}
    assert SECRET not in everything


def test_held_requests_and_a_reached_budget_are_posted(tmp_path: Path) -> None:
    with ScriptedUpstream(received) as hook, ScriptedUpstream(refused, refused, say("at last")) as only:
        document = with_notify(
            upstream("only", only.url, budget={"day_soft": 0.0001}),
            notify={"url": f"{hook.url}/", "on": ["held", "budget"]},
            hold_seconds=60,
            cooldown_start_seconds=2,
        )
        document["prices"] = {"*": {"input": 100_000, "output": 100_000}}
        with Daemon(tmp_path, document) as daemon:
            assert text_of("messages", ask(daemon.url, "messages")) == "at last"
            wait_until(lambda: kinds(hook) == {"held", "budget"}, "both notifications")
    assert dict(events(hook))["held"] == "1 request held: no upstream can answer now"
    assert dict(events(hook))["budget"].startswith('budget of upstream "only"')


def test_a_quota_that_is_nearly_used_up_is_posted(tmp_path: Path) -> None:
    headers = {"x-codex-primary-used-percent": "85", "x-codex-primary-reset-after-seconds": "9000"}
    with ScriptedUpstream(received) as hook, ScriptedUpstream(say("a", headers=headers)) as plan:
        entry = upstream("plan", plan.url, leave_at_percent=80)
        with Daemon(tmp_path, with_notify(entry, notify={"url": hook.url})) as daemon:
            ask(daemon.url, "messages")
            wait_until(lambda: len(hook.requests) == 1, "the notification")
    assert events(hook) == [("quota", '"plan": 85% of its primary quota is used')]


def test_a_command_gets_the_event_without_a_shell(tmp_path: Path) -> None:
    target = tmp_path / "received.txt"
    program = (
        "import os, sys; open(sys.argv[1], 'a').write("
        "sys.stdin.read() + '|' + os.environ['SWITCHYARD_EVENT'] + '|' + sys.argv[2])"
    )
    command = [sys.executable, "-c", program, str(target), "$(touch injected); `x`"]
    with Daemon(tmp_path, settings(notify={"command": command})) as daemon:
        assert daemon.post("/api/notify/test").json == {"ok": True, "detail": ""}
        body, event, argument = target.read_text().split("|")
        assert (json.loads(body)["text"], event) == ("This is a test notification.", "test")
        assert argument == "$(touch injected); `x`"


def test_a_silent_address_delays_no_request_and_its_error_is_a_notice(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(silent) as hook,
        ScriptedUpstream(refused) as first,
        ScriptedUpstream(say("second")) as second,
    ):
        entries = [upstream("first", first.url), upstream("second", second.url)]
        with Daemon(tmp_path, with_notify(*entries, notify={"url": hook.url})) as daemon:
            for _ in range(3):
                assert text_of("messages", ask(daemon.url, "messages")) == "second"
            hook.wait_for(1)
            assert hook.requests[0].ended_at is None, "the address still has not answered"


def test_what_goes_wrong_is_a_notice_without_the_secret(tmp_path: Path) -> None:
    with ScriptedUpstream(lambda request: whole(403, b"no")) as hook:
        document = settings(notify={"url": f"{hook.url}{SECRET}", "command": ["/no/such/program"]})
        with Daemon(tmp_path, document) as daemon:
            found = daemon.post("/api/notify/test").json
            notices = daemon.get("/api/state").json["notices"]
            daemon.change_settings(settings())
            assert daemon.get("/api/state").json["notices"] == []
            nothing = daemon.post("/api/notify/test").json
            written = daemon.all_written()
    why = "127.0.0.1 answered 403; the command does not start (No such file or directory)"
    assert found == {"ok": False, "detail": why}
    assert notices == [f"The last notification was not delivered: {why}"]
    assert nothing == {"ok": False, "detail": "`notify` has neither a url nor a command"}
    assert SECRET not in written


def test_the_address_and_the_arguments_are_never_shown_and_the_command_is_set_in_the_file_only(
    tmp_path: Path,
) -> None:
    notify = {"url": f"https://hooks.example{SECRET}?x=1", "command": ["notify", "--token", "abc-secret"]}
    with Daemon(tmp_path, settings(notify=notify)) as daemon:
        shown = daemon.get("/api/configs").json
        exported = daemon.post("/api/export", {"keys": False}).text
        assert shown["notify"]["url"] == "https://hooks.example/***"
        assert shown["notify"]["command"] == ["notify", "***", "***"]
        for text in (json.dumps(shown), exported):
            assert "very-secret-part" not in text and "abc-secret" not in text

        def change(value: Any) -> Any:
            revision = daemon.get("/api/configs").json["revision"]
            return daemon.post("/api/settings", {"changes": {"notify": value}, "revision": revision})

        # what was shown, sent back, keeps what is stored
        assert change({"url": "https://hooks.example/***", "on": ["held"]}).status == 200
        stored = json.loads(daemon.settings_path.read_text())["notify"]
        assert stored == {**notify, "on": ["held"]}
        for value in ({"command": ["sh", "-c", "id"]}, None, ["x"], {"url": "", "command": None}):
            assert change(value).status == 400, value
        wrong = change({"url": "ftp://very-secret-part"})
        assert wrong.status == 422 and "very-secret-part" not in wrong.text
        assert json.loads(daemon.settings_path.read_text())["notify"] == stored
        imported = daemon.post("/api/import", {"upstreams": [], "notify": {"command": ["sh"]}})
        assert json.loads(daemon.settings_path.read_text())["notify"] == stored, imported.text


def test_an_imported_file_brings_no_command(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings(upstream("a", "http://127.0.0.1:9"))) as daemon:
        other = settings(upstream("b", "http://127.0.0.1:9"), notify={"command": ["sh", "-c", "id"]})
        report = daemon.post("/api/import", other).json
        assert report["added"] == ["b"]
        assert "notify: left out" in " ".join(report["notes"])
        assert "notify" not in json.loads(daemon.settings_path.read_text())

"""Use this now: the chosen upstream answers first, running conversations and held requests included."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.holding import holding
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, say, status


@pytest.fixture
def main() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("from main")) as server:
        yield server


@pytest.fixture
def spare() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("from spare")) as server:
        yield server


def document(main: ScriptedUpstream, spare: ScriptedUpstream) -> Document:
    """The spare one would answer only when the main one cannot."""
    entries = upstream("main", main.url), upstream("spare", spare.url, role="backup", weekdays=[])
    return settings(*entries, failover={"error_threshold": 1, "cooldown_start_seconds": 600})


@pytest.fixture
def daemon(tmp_path: Path, main: ScriptedUpstream, spare: ScriptedUpstream) -> Iterator[Daemon]:
    with Daemon(tmp_path, document(main, spare)) as running:
        yield running


def answering(daemon: Daemon, session: str = "s") -> str:
    """The upstream that answers the next request of a conversation."""
    answered = ask(daemon.url, "messages", headers={"x-claude-code-session-id": session})
    return text_of("messages", answered).removeprefix("from ")


def used(daemon: Daemon) -> dict[str, str]:
    return {client: use["upstream"] for client, use in daemon.get("/api/state").json["uses"].items()}


def test_it_answers_a_running_conversation_from_the_next_request_on_until_it_is_undone(
    daemon: Daemon,
) -> None:
    assert answering(daemon) == "main"
    assert daemon.post("/api/use", {"upstream": "spare"}).status == 200
    assert (answering(daemon), answering(daemon), answering(daemon, "new")) == ("spare", "spare", "spare")
    assert daemon.post("/api/use", {"upstream": None}).json == {"uses": {}}
    assert (answering(daemon), answering(daemon, "new")) == ("main", "main")


def test_what_is_being_answered_goes_on_where_it_is(daemon: Daemon, main: ScriptedUpstream) -> None:
    release = threading.Event()

    def halfway(request: Received) -> Script:
        *steps, last = say("from main")(request)
        return [*steps, Hold(release), last]

    main.script(halfway)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(answering, daemon)
        main.wait_for(1)
        daemon.post("/api/use", {"upstream": "spare"})
        assert answering(daemon) == "spare"
        release.set()
        assert running.result(PATIENCE_SECONDS) == "main"


def test_a_command_sets_it_for_one_client_and_for_a_time(daemon: Daemon) -> None:
    code, text = daemon.command("use", "spare", "--client", "messages", "--for", "2h")
    assert code == 0
    assert 'messages: "spare" answers first, until ' in text
    assert 'responses: automatic, "main" answers first' in text
    assert "use --auto" in text
    assert used(daemon) == {"messages": "spare"}
    until = daemon.get("/api/state").json["uses"]["messages"]["until"]
    assert 7100 < until - daemon.get("/api/state").json["now"] <= 7201
    assert answering(daemon) == "spare"
    assert text_of("chat", ask(daemon.url, "chat")) == "from main"
    assert daemon.command("use") == (0, text)
    assert daemon.command("use", "--auto")[0] == 0
    assert used(daemon) == {}


def test_it_is_over_after_its_time(daemon: Daemon) -> None:
    assert daemon.post("/api/use", {"upstream": "spare", "seconds": 600}).status == 200
    assert answering(daemon) == "spare"
    assert daemon.post("/api/use", {"upstream": "spare", "seconds": 0.5}).status == 200
    wait_until(lambda: answering(daemon) == "main", "the end of the time")
    assert used(daemon) == {}


def test_it_survives_a_restart_and_the_banner_says_so(daemon: Daemon) -> None:
    assert daemon.post("/api/use", {"upstream": "spare", "client": "messages"}).status == 200
    daemon.kill()
    daemon.start()
    assert answering(daemon) == "spare"
    assert 'Use now      "spare" first for messages, until you undo it' in daemon.output
    assert "1. spare (used now, until you undo it)" in daemon.output
    daemon.command("use", "--auto")
    daemon.restart()
    assert answering(daemon) == "main"


def test_the_status_line_and_explain_say_it_with_the_reason(daemon: Daemon) -> None:
    daemon.command("use", "spare")
    assert daemon.get("/statusline").text.startswith("spare, used now | ")
    code, text = daemon.command("explain", "--model", "m")
    assert (code, text.splitlines()[0]) == (0, "1. spare -> m (used now, until you undo it)")


@pytest.mark.parametrize("change", ["rename", "remove", "disable"])
def test_an_edit_of_its_entry_is_followed(
    daemon: Daemon, main: ScriptedUpstream, spare: ScriptedUpstream, change: str
) -> None:
    daemon.post("/api/use", {"upstream": "spare"})
    edited = document(main, spare)
    entry = edited["upstreams"][1]
    if change == "remove":
        edited["upstreams"].pop()
    entry |= {"rename": {"name": "renamed"}, "remove": {}, "disable": {"enabled": False}}[change]
    daemon.change_settings(edited)
    left = {"renamed"} if change == "rename" else set()
    assert set(used(daemon).values()) == left
    assert answering(daemon) == ("spare" if left else "main")
    daemon.restart()
    assert set(used(daemon).values()) == left


def test_other_edits_leave_it(daemon: Daemon, main: ScriptedUpstream, spare: ScriptedUpstream) -> None:
    daemon.post("/api/use", {"upstream": "spare"})
    edited = document(main, spare)
    edited["upstreams"][1]["key"] = "sk-new"
    edited["upstreams"][0]["note"] = "edited"
    daemon.change_settings(edited)
    assert answering(daemon) == "spare"


def test_while_it_is_cooling_down_the_others_answer(daemon: Daemon, spare: ScriptedUpstream) -> None:
    daemon.post("/api/use", {"upstream": "spare"})
    spare.script(status(503, "down"))
    assert (answering(daemon), answering(daemon)) == ("main", "main")
    assert len(spare.requests) == 1
    text = daemon.command("use")[1]
    assert (
        '"spare" is to answer first, until you undo it; for now "main" answers first ("spare": model m cooling'
        in text
    )
    spare.script(say("from spare"))
    daemon.post("/api/upstreams/clear", {"name": "spare"})
    assert answering(daemon) == "spare"


def test_held_requests_ask_it_at_once(tmp_path: Path, spare: ScriptedUpstream) -> None:
    with holding(tmp_path) as outage:
        entries = json.loads(outage.daemon.settings_path.read_text())
        entries["upstreams"].append(upstream("spare", spare.url, role="rescue"))
        outage.daemon.change_settings(entries)
        asked = outage.hold(3)
        outage.daemon.post("/api/use", {"upstream": "spare"})
        answers = [text_of("messages", one.result(PATIENCE_SECONDS)) for one in asked]
        assert answers == ["from spare"] * 3


def test_an_upstream_that_is_failing_is_asked_at_once_by_held_requests(tmp_path: Path) -> None:
    with holding(tmp_path) as outage:
        asked = outage.hold(2)
        outage.recover()
        outage.daemon.post("/api/use", {"upstream": "a"})
        assert [one.result(PATIENCE_SECONDS).status for one in asked] == [200, 200]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gone"], 'There is no upstream "gone"'),
        (["off"], '"off" is disabled; enable it first.'),
        (["main", "--client", "chat"], '"main" does not serve chat clients.'),
        (["main", "--for", "2"], '--for: "2" is not a duration like 90m, 2h or 1h30m'),
        (["main", "--auto"], "--auto goes without a name and without --for."),
        (["--for", "2h"], "Name the upstream to use, or --auto."),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    entries = (
        upstream("main", "http://127.0.0.1:9", clients=["messages"]),
        upstream("off", "http://127.0.0.1:9", enabled=False),
    )
    with Daemon(tmp_path, settings(*entries)) as daemon:
        code, text = daemon.command("use", *arguments)
        assert (code, text.startswith(sentence), text.count("\n")) == (1, True, 1), text
        assert used(daemon) == {}


@pytest.mark.parametrize("arguments", [["main"], ["--auto"], []])
def test_without_a_running_daemon_the_command_says_so(tmp_path: Path, arguments: list[str]) -> None:
    daemon = Daemon(tmp_path, settings(upstream("main", "http://127.0.0.1:9")))
    code, text = daemon.command("use", *arguments)
    sentence = f"No running Switchyard with the data folder {daemon.data} responds; start it first.\n"
    assert (code, text) == (1, sentence)


@pytest.mark.parametrize(
    "body",
    [{"upstream": "main", "seconds": value} for value in (0, -1, "2h", True, 1e12)]
    + [{"upstream": "main", "client": "nobody"}, {"upstream": 3}],
)
def test_the_api_refuses_values_that_mean_nothing(daemon: Daemon, body: Document) -> None:
    answered = daemon.post("/api/use", body)
    assert (answered.status, used(daemon)) == (400, {})

"""The file is watched: a valid change is live within a second, an invalid one changes nothing and is reported."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bed import wire
from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, cut_after_content, say, stream
from tests.bed.wire import Protocol

WITHIN_SECONDS = 1.0


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    old: ScriptedUpstream
    new: ScriptedUpstream

    @property
    def old_settings(self) -> Document:
        return settings(upstream("old", self.old.url))

    @property
    def new_settings(self) -> Document:
        return settings(upstream("new", self.new.url))

    def answerer(self) -> str:
        return text_of("messages", ask(self.daemon.url, "messages"))

    def wait_for(self, name: str) -> None:
        wait_until(lambda: self.answerer() == name, f"the {name} upstream")


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with ScriptedUpstream(say("old")) as old, ScriptedUpstream(say("new")) as new:
        with Daemon(tmp_path, settings(upstream("old", old.url))) as daemon:
            yield Bed(daemon, old, new)


def renamed_over(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def edited_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def written_in_two_steps(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        time.sleep(0.15)
        file.write(text[len(text) // 2 :])


@pytest.mark.parametrize("edit", [renamed_over, edited_in_place, written_in_two_steps])
def test_a_valid_change_is_live_however_it_is_written(bed: Bed, edit: Callable[[Path, str], None]) -> None:
    assert bed.answerer() == "old"
    for name, document in (("new", bed.new_settings), ("old", bed.old_settings)):
        edit(bed.daemon.settings_path, json.dumps(document))
        bed.wait_for(name)


@pytest.mark.timing
def test_and_within_a_second(bed: Bed) -> None:
    seconds: list[float] = []
    for name, document in [("new", bed.new_settings), ("old", bed.old_settings)] * 2:
        renamed_over(bed.daemon.settings_path, json.dumps(document))
        began = time.monotonic()
        bed.wait_for(name)
        seconds.append(time.monotonic() - began)

    assert min(seconds) < WITHIN_SECONDS, seconds


def test_a_change_behind_a_symbolic_link_is_seen(tmp_path: Path) -> None:
    repository = tmp_path / "dotfiles"
    repository.mkdir()
    with ScriptedUpstream(say("old")) as old, ScriptedUpstream(say("new")) as new:
        real = repository / "switchyard.json"
        real.write_text(json.dumps(settings(upstream("old", old.url))))
        daemon = Daemon(tmp_path)
        daemon.data.mkdir()
        daemon.settings_path.symlink_to(real)
        with daemon:
            assert text_of("messages", ask(daemon.url, "messages")) == "old"
            renamed_over(real, json.dumps(settings(upstream("new", new.url))))
            wait_until(lambda: text_of("messages", ask(daemon.url, "messages")) == "new", "the new upstream")
        assert daemon.settings_path.is_symlink()


INVALID = {
    "broken JSON": ('{"upstreams": [}', "line 1"),
    "a wrong type": (
        '{"upstreams": [{"name": "x", "base_url": "http://h", "priority": "high"}]}',
        "priority",
    ),
    "a name twice": (
        json.dumps(
            {"upstreams": [{"name": "x", "base_url": "http://h"}, {"name": "x", "base_url": "http://h"}]}
        ),
        "upstreams[1].name",
    ),
    "an empty file": ("", "an empty file"),
    "a line comment": ('{"upstreams": [] // mine\n}', "line 1, column 18): expected JSON without comments"),
    "a block comment": (
        '{\n"upstreams": /* mine */ []}',
        "line 2, column 14): expected JSON without comments",
    ),
    "a shell comment": ("# mine\n{}", "line 1, column 1): expected JSON without comments"),
    "a trailing comma": ('{"upstreams": [],\n}', "line 1, column 17): expected valid JSON"),
    "a name in one object twice": ('{"budget": {},\n"budget": {}}', "line 1 has it too"),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_keeps_the_last_good_one_and_is_reported(bed: Bed, name: str) -> None:
    text, reported = INVALID[name]
    renamed_over(bed.daemon.settings_path, text)
    wait_until(lambda: bed.daemon.get("/health").json["faults"] > 0, "the fault")

    assert bed.answerer() == "old"
    wait_until(lambda: reported in bed.daemon.output and reported in bed.daemon.log(), "the fault in the log")
    code, said = bed.daemon.command("check")
    assert code == 1 and reported in said
    shown = bed.daemon.get("/api/state").json["file"]["faults"]
    assert any(reported in fault["message"] for fault in shown)

    renamed_over(bed.daemon.settings_path, json.dumps(bed.new_settings))
    wait_until(lambda: bed.answerer() == "new", "the new upstream")
    assert bed.daemon.get("/health").json["faults"] == 0


@pytest.mark.parametrize("name", ["a line comment", "a block comment", "a trailing comma"])
def test_the_dashboard_saves_nothing_where_a_comment_would_be_lost(bed: Bed, name: str) -> None:
    text, _ = INVALID[name]
    revision = bed.daemon.get("/api/configs").json["revision"]
    renamed_over(bed.daemon.settings_path, text)
    wait_until(lambda: bed.daemon.get("/health").json["faults"] > 0, "the error")

    saved = bed.daemon.post("/api/upstreams/toggle", {"revision": revision, "name": "old", "enabled": False})
    assert saved.status == 409
    assert bed.daemon.settings_path.read_text() == text


def test_a_file_in_utf_16_keeps_the_last_good_one_and_is_reported(bed: Bed) -> None:
    bed.daemon.settings_path.write_bytes(json.dumps(bed.new_settings).encode("utf-16"))
    wait_until(lambda: "UTF-16; save it again as UTF-8" in bed.daemon.output, "the error in the log")
    assert bed.answerer() == "old"

    bed.daemon.settings_path.write_text(json.dumps(bed.new_settings), encoding="utf-8-sig")
    wait_until(lambda: bed.answerer() == "new", "the new upstream")
    assert bed.daemon.get("/health").json["faults"] == 0


@pytest.mark.parametrize("protocol", ["messages", "chat", "responses"])
def test_a_running_stream_is_not_affected(tmp_path: Path, protocol: Protocol) -> None:
    go_on = threading.Event()

    def slow(request: Received) -> Script:
        records = wire.records(request.protocol, wire.Reply("The whole long answer"), "m")
        steps = list(stream(records))
        middle = len(steps) // 2
        return [*steps[:middle], Hold(go_on), *steps[middle:]]

    with ScriptedUpstream(slow) as old, ScriptedUpstream(say("new")) as new:
        with Daemon(tmp_path, settings(upstream("old", old.url, protocol))) as daemon:
            answers: list[Response] = []
            client = threading.Thread(target=lambda: answers.append(ask(daemon.url, protocol)))
            client.start()
            old.wait_for()
            daemon.change_settings(settings(upstream("new", new.url)))
            assert text_of(protocol, ask(daemon.url, protocol)) == "new"
            go_on.set()
            client.join(PATIENCE_SECONDS)

    assert text_of(protocol, answers[0]) == "The whole long answer"


def test_a_file_that_disappears_changes_nothing(bed: Bed) -> None:
    bed.daemon.settings_path.unlink()
    wait_until(lambda: bed.daemon.get("/health").json["faults"] > 0, "the fault")

    assert bed.answerer() == "old"


def test_edits_to_other_entries_do_not_end_a_cooldown(tmp_path: Path) -> None:
    with ScriptedUpstream(cut_after_content()) as bad, ScriptedUpstream(say("good")) as good:
        entries = (upstream("bad", bad.url), upstream("good", good.url))
        with Daemon(tmp_path, settings(*entries)) as daemon:
            ask(daemon.url, "messages")
            daemon.change_settings(settings(*entries, upstream("third", good.url)))
            ask(daemon.url, "messages")

    assert (len(bad.requests), len(good.requests)) == (1, 1)

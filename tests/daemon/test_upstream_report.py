"""The report on what the upstreams really did, from a running daemon."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS, ask, question
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, answer
from tests.bed.wire import Reply, Usage

PATH = "/api/upstream-report"
MODEL = "claude-opus-5-6"


def findings(daemon: Daemon) -> dict[str, list[dict[str, Any]]]:
    return {one["upstream"]: one["findings"] for one in daemon.get(PATH).json["reports"]}


def test_an_upstream_that_answers_as_another_model_is_named_with_its_evidence_and_after_a_restart(
    tmp_path: Path,
) -> None:
    with ScriptedUpstream(answer(Reply("Hi", model="claude-opus-5-5"))) as swapping:
        with ScriptedUpstream(answer(Reply("Hi", model="claude-opus-5-6-20260801"))) as honest:
            entries = [upstream("swapping", swapping.url), upstream("honest", honest.url)]
            with Daemon(tmp_path, settings(*entries)) as daemon:
                ask(daemon.url, "messages", MODEL)
                assert findings(daemon) == {"swapping": []}
                ask(daemon.url, "messages", MODEL)
                [found] = findings(daemon)["swapping"]
                assert (found["kind"], found["level"]) == ("model", "stated")
                ask(daemon.url, "messages", f"honest,{MODEL}", stream=False)
                [found] = findings(daemon)["swapping"]
                assert (found["level"], found["values"]) == (
                    "confirmed",
                    {
                        "count": 2,
                        "of": 2,
                        "requested": MODEL,
                        "answered": "claude-opus-5-5",
                        "source": '"honest"',
                    },
                )
                assert found["examples"] == [line["id"] for line in daemon.journal()[:2]]
                assert findings(daemon)["honest"] == []
                before = daemon.get(PATH).json
                daemon.kill()
                daemon.start()
                wait_until(lambda: daemon.get(PATH).json == before, "the report from the journal")


def test_what_a_changed_prompt_cost_is_reported_with_its_place(tmp_path: Path) -> None:
    usage = Usage(fresh=1000, cache_read=8000, cache_write=1000)
    with ScriptedUpstream(answer(Reply("Hi", usage=usage))) as server:
        prices = {"m": {"input": 10, "output": 10, "cache_read": 1}}
        with Daemon(tmp_path, settings(upstream("one", server.url), prices=prices)) as daemon:
            for system in ("a" * 6000, "a" * 4000 + "b" + "a" * 2000):
                body = question("messages", "m", "word " * 1200) | {"system": system}
                body["metadata"] = {"user_id": json.dumps({"session_id": "one-conversation"})}
                assert daemon.post(PATHS["messages"], body).status == 200
            [report] = daemon.get(PATH).json["reports"]
            [change] = report["changes"]
            assert (change["id"], report["findings"]) == (daemon.journal()[1]["id"], [])
            assert (change["changed_in"], change["changed_at"]) == ("system", 2048)
            assert 7000 < change["tokens"] < 9000
            assert change["cost"] == pytest.approx(change["tokens"] * 9 / 1_000_000)


def test_known_local_servers_and_the_demo_are_not_examined(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("Hi", model="something-else"))) as server:
        entries = [
            upstream("local", server.url, "chat", server="vllm"),
            {"name": "demo", "base_url": "demo:", "role": "backup"},
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            for _ in range(3):
                assert ask(daemon.url, "chat", "gpt-5.5").status == 200
            assert daemon.get(PATH).json == {"reports": []}


def test_the_report_is_only_for_the_dashboards_own_pages(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings({"name": "demo", "base_url": "demo:"})) as daemon:
        for headers in ({"host": "evil.example.com"}, {"origin": "https://evil.example.com"}):
            assert request(daemon.url, "GET", PATH, headers=headers).status == 403

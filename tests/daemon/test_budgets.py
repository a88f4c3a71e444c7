"""A spent budget removes its upstream from the route, and the dashboard and the log report that reason."""

from pathlib import Path

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, answer, say
from tests.bed.wire import Reply, Usage

DEAR = Usage(fresh=1_000_000, output=1)


def test_a_soft_limit_warns_and_a_hard_one_sends_the_next_request_elsewhere(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("dear", usage=DEAR))) as paid, ScriptedUpstream(say("free")) as free:
        entries = [
            upstream("paid", paid.url, budget={"day_soft": 3, "day_hard": 6}, server="anthropic"),
            upstream("free", free.url, role="backup"),
        ]
        with Daemon(tmp_path, settings(*entries, prices={"*": {"input": 3, "output": 0}})) as daemon:
            said, notices = [], []
            for _ in range(3):
                said.append(text_of("messages", ask(daemon.url, "messages")))
                notices.append(daemon.get("/api/state").json["notices"])
            route = daemon.get("/api/explain?client=messages&model=m").json

            soft = 'budget of upstream "paid": 3.00 spent this day, soft limit 3'
            hard = 'budget of upstream "paid": 6.00 spent this day, hard limit 6'
            assert said == ["dear", "dear", "free"]
            assert notices == [[soft], [hard], [hard]]
            assert [(skip["upstream"], skip["reason"]) for skip in route["skipped"]] == [("paid", "budget")]
            assert hard in route["skipped"][0]["text"]
            wait_until(lambda: hard in daemon.log(), "the log")
            reported = [line for line in daemon.log().splitlines() if " WARNING " in line]
            assert [line.rpartition(" WARNING ")[2] for line in reported] == [soft, hard]

            daemon.restart()
            assert hard in daemon.output.rpartition("Switchyard 0")[2]
            assert text_of("messages", ask(daemon.url, "messages")) == "free"


def test_a_cost_is_reported_with_the_price_and_the_multiplier_it_was_made_of(tmp_path: Path) -> None:
    price = {"input": 3, "output": 4, "cache_read": 0.5}
    with ScriptedUpstream(answer(Reply("dear", usage=DEAR))) as paid:
        entry = upstream("paid", paid.url, price_multiplier=0.25)
        with Daemon(tmp_path, settings(entry, prices={"*": price})) as daemon:
            ask(daemon.url, "messages")
            line = daemon.journal()[-1]
            reported = daemon.get(f"/api/requests/{line['id']}").json
    assert line["cost"] == reported["row"]["cost"] == 0.750001
    expected = price | {
        "cache_write_5m": 3.75,
        "cache_write_1h": 6,
        "multiplier": 0.25,
        "source": "settings: *",
    }
    assert line["price"] == expected
    assert reported["price"] == expected | {"tier": "", "fees": 0}


def test_when_every_budget_is_spent_the_client_is_reported_why(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("dear", usage=DEAR))) as paid:
        document = settings(
            upstream("paid", paid.url), prices={"*": {"input": 3, "output": 0}}, budget={"month_hard": 3}
        )
        with Daemon(tmp_path, document) as daemon:
            ask(daemon.url, "messages")
            refused = ask(daemon.url, "messages")
    assert refused.status == 503
    assert "budget of all upstreams: 3.00 spent this month, hard limit 3" in refused.text


def test_a_budget_that_cannot_apply_is_a_notice_in_the_dashboard_the_log_and_the_editor(
    tmp_path: Path,
) -> None:
    with ScriptedUpstream(say("free")) as own:
        entry = upstream("own", own.url, budget={"day_hard": 5}, local=True)
        with Daemon(tmp_path, settings(entry)) as daemon:
            reason = 'its models are local and have no price; add one to prices, or set "local": false'
            notice = f'The budget of upstream "own" cannot apply: {reason}'
            assert daemon.get("/api/state").json["notices"] == [notice]
            wait_until(lambda: notice in daemon.log(), "the log")
            checked = daemon.post("/api/upstreams/check", {"name": "own", "entry": entry}).json
            assert checked["warnings"] == [f"budget: it cannot apply, as {reason}"]
            assert ask(daemon.url, "messages").status == 200

            daemon.change_settings(settings({**entry, "local": "auto"}))
            assert daemon.get("/api/state").json["notices"] == []


def test_requests_that_a_budget_misses_are_a_notice(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("dear", usage=DEAR))) as relay:
        entry = upstream("relay", relay.url, budget={"day_hard": 50})
        with Daemon(tmp_path, settings(entry)) as daemon:
            ask(daemon.url, "messages", "claude-opus-5-5")
            assert daemon.get("/api/state").json["notices"] == []
            ask(daemon.url, "messages", "nobody-knows-it")
            notice = 'No budget includes 1 request of today at upstream "relay": the price is not known'
            assert daemon.get("/api/state").json["notices"] == [notice]


def test_a_relay_on_this_machine_is_priced_so_that_its_hard_budget_stops_it(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("dear", usage=DEAR))) as relay, ScriptedUpstream(say("free")) as own:
        entries = [
            upstream("relay", relay.url, budget={"day_hard": 3}),
            upstream("own", own.url, role="backup", local=True),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            said = [text_of("messages", ask(daemon.url, "messages", "claude-opus-5-5")) for _ in range(2)]
    assert said == ["dear", "free"]

"""One mixed day: the journal, the roll-up, the API, `/metrics`, the command line and the dashboard count the same."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.bed import wire
from tests.bed.asking import PATHS, ask, question
from tests.bed.daemon import Daemon, Document, holding_settings, upstream
from tests.bed.patience import wait_until
from tests.bed.raw_client import leave, post
from tests.bed.upstream import (
    Answer,
    Received,
    Script,
    ScriptedUpstream,
    Wait,
    cut_after_content,
    opening,
    say,
    status,
    stream,
    whole,
)
from tests.bed.wire import Reply, Usage
from tests.browser.conftest import Open

MILLION = Usage(fresh=1_000_000, output=10)
CLAUDE, GPT = "claude-opus-5-5", "gpt-5.2"
CLAUDE_COST, GPT_COST, SEARCH = 4 + 10 * 20e-6, 1.75 + 10 * 14e-6, 0.01
"""of an answer of this usage at the published prices, and of a web search"""
SIDE_KINDS = ("test", "activation", "replay")


def marked(before_usage: str = "", in_usage: str = "", output: Document | None = None) -> Answer:
    """An answer of a million tokens with further members beside its usage and in it."""

    def changed(octets: bytes) -> bytes:
        octets = octets.replace(b'"usage": {', f'{before_usage}"usage": {{{in_usage}'.encode())
        more = f'"output": [{json.dumps(output)}, ' if output else '"output": ['
        return octets.replace(b'"output": [{', more.encode() + b"{")

    def script(request: Received) -> Script:
        reply, model = Reply("ok", usage=MILLION), str(request.json.get("model"))
        if request.wants_stream:
            return stream(map(changed, wire.records(request.protocol, reply, model)))
        return whole(200, changed(wire.body(request.protocol, reply, model)))

    return script


def tier(name: str) -> Answer:
    return marked(before_usage=f'"service_tier": "{name}", ')


class Servers:
    """The upstreams of the day, each for one model."""

    def __init__(self) -> None:
        self.claude, self.gpt, self.own, self.odd = (ScriptedUpstream(say("ok")) for _ in range(4))
        self.llama = ScriptedUpstream(say("ok", headers={"server": "llama.cpp"}))
        self.failing = ScriptedUpstream(status(400, "no"))

    def all(self) -> list[ScriptedUpstream]:
        return [self.claude, self.gpt, self.own, self.llama, self.odd, self.failing]

    def settings(self) -> Document:
        return holding_settings(
            upstream("claude", self.claude.url, models=[CLAUDE]),
            upstream("gpt", self.gpt.url, "responses", models=[GPT], price_multiplier=0.5),
            upstream("own", self.own.url, "chat", models=["qwen"], local=True),
            upstream("llama", self.llama.url, "chat", models=["gpt-5.1"]),
            upstream("odd", self.odd.url, "chat", models=["nobody-knows-it"]),
            upstream("failing", self.failing.url, models=["failing"]),
        )


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    for server in made.all():
        server.__enter__()
    yield made
    for server in made.all():
        server.__exit__()


def live_through(daemon: Daemon, servers: Servers) -> float:
    """All kinds of exchanges; returns what they cost."""
    spent = 0.0
    daemon.post("/api/capture", {"mode": "all"})

    servers.claude.script(marked())
    ask(daemon.url, "messages", CLAUDE)
    spent += CLAUDE_COST
    replayed = daemon.journal()[-1]["id"]
    servers.claude.script(marked(in_usage='"speed": "fast", "server_tool_use": {"web_search_requests": 3}, '))
    ask(daemon.url, "messages", CLAUDE)
    ask(daemon.url, "chat", CLAUDE, stream=False)
    spent += 2 * (2 * CLAUDE_COST + 3 * SEARCH)

    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    for reply, factor, fee in (
        (tier("default"), 1, 0.0),
        (tier("priority"), 2, 0.0),
        (tier("flex"), 0.5, 0.0),
        (marked(output=search), 1, SEARCH),
    ):
        servers.gpt.script(reply)
        ask(daemon.url, "responses", GPT)
        ask(daemon.url, "messages", GPT, stream=False)
        spent += 2 * 0.5 * (factor * GPT_COST + fee)
    servers.gpt.script(tier("scale"))
    ask(daemon.url, "responses", GPT)

    ask(daemon.url, "chat", "qwen")
    ask(daemon.url, "chat", "gpt-5.1")
    ask(daemon.url, "chat", "nobody-knows-it")
    assert ask(daemon.url, "messages", "failing").status == 400

    servers.claude.script(status(503), marked())
    ask(daemon.url, "messages", CLAUDE)
    spent += CLAUDE_COST
    servers.own.script(cut_after_content())
    ask(daemon.url, "chat", "qwen")
    servers.odd.script(lambda request: stream(opening(request), end=[Wait()]))
    client = post(daemon.port, PATHS["chat"], json.dumps(question("chat", "nobody-knows-it")).encode())
    servers.odd.wait_for()
    leave(client)
    wait_until(
        lambda: Counter(line.get("outcome") for line in daemon.journal())["cancelled"] == 1, "the departure"
    )

    servers.claude.script(marked())
    assert daemon.post("/api/upstreams/test", {"name": "claude"}).json["ok"]
    spent += CLAUDE_COST
    assert not daemon.post("/api/upstreams/test", {"name": "failing"}).json["ok"]
    daemon.post("/api/upstreams/activate", {"name": "claude"})
    spent += CLAUDE_COST
    servers.claude.script(status(401))
    daemon.post("/api/upstreams/activate", {"name": "claude"})
    daemon.post("/api/upstreams/clear", {"name": "claude"})
    servers.claude.script(marked())
    daemon.post("/api/requests/replay", {"id": replayed, "upstream": "claude"})
    wait_until(lambda: daemon.journal()[-1]["kind"] == "replay", "the replayed request")
    return spent + CLAUDE_COST


def counted(lines: list[Document]) -> dict[str, float]:
    """The definitions of docs/statistics.md in other words, from the lines of the journal."""
    found: Counter[str] = Counter()
    cost = 0.0
    for line in lines:
        kind, outcome, usage = line.get("kind", "request"), line["outcome"], line.get("usage", {})
        tokens = {name: count for name, count in usage.items() if name in TOKENS}
        found.update(tokens)
        cost += line.get("cost", 0.0)
        if kind in SIDE_KINDS:
            found[f"{kind}s"] += 1
            found[f"failed_{kind}s"] += outcome in ("failed", "truncated")
            continue
        found["requests"] += 1
        found["errors"] += outcome == "failed"
        found["cancelled"] += outcome == "cancelled"
        found["truncated"] += outcome == "truncated"
        found["held"] += line.get("held", 0.0) > 0
        found["estimated"] += bool(usage.get("estimated"))
        has_price, has_tokens = "cost" in line, any(tokens.values())
        found["priced"] += has_price
        found["local"] += not has_price and has_tokens and bool(line.get("local"))
        found["unpriced"] += not has_price and has_tokens and not line.get("local")
    return without_zeros({**found, "cost": round(cost, 6)})


TOKENS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
COUNTS = (
    "requests errors cancelled truncated held estimated priced unpriced local tests failed_tests activations "
    "failed_activations replays failed_replays"
).split()
API_TOKENS = {
    "fresh_input_tokens": "input",
    "cache_read_tokens": "cache_read",
    "cache_creation_5m_tokens": "cache_write_5m",
    "cache_creation_1h_tokens": "cache_write_1h",
    "output_tokens": "output",
}


def of_cells(*cells: dict[str, Any]) -> dict[str, float]:
    """The sums of cells of the API or of rows of the CSV."""
    found: Counter[str] = Counter()
    for cell in cells:
        found.update({name: int(cell[name]) for name in COUNTS})
        found.update({ours: int(cell[theirs]) for theirs, ours in API_TOKENS.items()})
    return without_zeros({**found, "cost": round(sum(float(cell["cost"] or 0) for cell in cells), 6)})


def without_zeros(sums: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in sums.items() if value}


def of_summary(summary: dict[str, Any]) -> dict[str, float]:
    renamed = {name: summary[f"total_{name}"] for name in ("requests", "cache_read_tokens", "output_tokens")}
    return of_cells({**summary, **renamed})


SAMPLE = re.compile(r'switchyard_(\w+)_total\{by="(upstream|model)",name="[^"]*"(?:,kind="(\w+)")?\} (\S+)')


def of_metrics(text: str, by: str) -> dict[str, float]:
    found: Counter[str] = Counter()
    cost = 0.0
    for name, dimension, kind, value in SAMPLE.findall(text):
        if dimension == by and name == "cost_dollars":
            cost += float(value)
        elif dimension == by and (name in COUNTS or kind in TOKENS):
            found[kind or name] += int(value)
    return without_zeros({**found, "cost": round(cost, 6)})


def test_every_place_reports_the_same_totals_of_a_mixed_day(
    tmp_path: Path, servers: Servers, open_page: Open
) -> None:
    with Daemon(tmp_path, servers.settings()) as daemon:
        spent = live_through(daemon, servers)
        expected = {
            "requests": 19,
            "errors": 1,
            "cancelled": 1,
            "truncated": 1,
            "held": 1,
            "priced": 12,
            "tests": 2,
            "failed_tests": 1,
            "activations": 2,
            "failed_activations": 1,
            "replays": 1,
            "failed_replays": 0,
            "cost": round(spent, 6),
        }
        journal = counted(daemon.journal())
        assert {name: journal.get(name, 0) for name in expected} == expected
        assert (journal["local"], journal["unpriced"]) == (3, 2)

        stats = daemon.token_stats()
        assert of_summary(stats["summary"]) == journal
        for part in ("daily", "by_model", "by_model_sent", "by_upstream", "hourly"):
            assert of_cells(*stats[part].values()) == journal, part

        metrics = daemon.get("/metrics").text
        assert of_metrics(metrics, "upstream") == of_metrics(metrics, "model") == journal

        today = daemon.get("/api/state").json["today"]
        assert {name: today[name] for name in COUNTS} == {name: journal.get(name, 0) for name in COUNTS}
        assert (today["input"], round(today["cost"], 6)) == (journal["input"], journal["cost"])

        page = open_page(daemon, "/token-stats.html")
        numbers = page.locator(".numbers > div")
        ends = "1 failed · 1 cancelled · 1 cut off · 1 held"
        expect(numbers.nth(0)).to_have_text(f"Requests19{ends}")
        expect(numbers.nth(1)).to_have_text(f"Cost${spent:.2f} +2 without a price · 3 local, without a price")
        apart = "connection tests: 2 (1 failed), activations: 2 (1 failed), replays: 1"
        expect(page.get_by_text(f"but included in tokens and cost: {apart}.")).to_be_visible()
        overview = open_page(daemon, "/")
        expect(overview.locator(".numbers > div").filter(has_text="Requests")).to_have_text(
            f"Requests19{ends}"
        )

    written = json.loads((daemon.data / "token_stats.json").read_text())
    assert of_summary(written["summary"]) == journal
    for rebuilt in ([], ["--rebuild"]):
        assert not rebuilt or daemon.command("stats", *rebuilt)[0] == 0
        shown = json.loads(daemon.command("stats", "--json", "--days", "1")[1])
        assert of_summary(shown["summary"]) == journal
        rows = csv.DictReader(io.StringIO(daemon.command("stats", "--csv", "--by", "upstream")[1]))
        assert of_cells(*rows) == journal
        table = daemon.command("stats")[1]
        row = next(line.split() for line in table.splitlines() if line.startswith("today"))
        assert (row[1], row[2], row[-1]) == ("19", "1", f"${spent:.2f}*")
        assert "Of the requests: 1 cancelled, 1 truncated, 1 held, 3 local." in table
        assert "2 activations (1 failed), 2 connection tests (1 failed), 1 replay" in table

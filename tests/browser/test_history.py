"""What the journal has: older requests, conversations and projects, and the numbers of the upstreams."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from switchyard.store.journal_line import Line, LineAttempt, LineError, LineUsage, write_line
from switchyard.store.local_time import local_moment
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.upstream import ScriptedUpstream, status
from tests.browser.conftest import Open, sent

NOW = datetime.now(UTC).timestamp()
COUNT = 260
HOSTILE = "/work/<img src=x onerror=document.title=1>"


def a_line(number: int) -> Line:
    """Number 0 is the oldest; every 50th has failed."""
    at = NOW - 3600 + number * 10
    local = local_moment(at)
    name, has_failed = ("first", "second")[number % 2], number % 50 == 0
    attempt = LineAttempt(name, "qwen", started=0.5, first_byte=1.0, ended=2.0)
    return Line(
        v=1,
        at=at,
        day=local.day,
        offset=local.offset,
        id=f"x_{number:04}",
        began=at - 2,
        agent="claude-cli/2.1 (external)",
        session=f"session-{number // 130}",
        project=HOSTILE if number < 130 else "/work/app",
        client_protocol="messages",
        protocol="messages",
        model="opus",
        sent="qwen",
        upstream=name,
        stream=True,
        outcome="failed" if has_failed else "ok",
        status=503 if has_failed else 200,
        first_byte=None if has_failed else 1.0,
        duration=2.0,
        usage=None if has_failed else LineUsage(input=100, cache_read=300, output=20),
        cost=None if has_failed else 0.01,
        attempts=[attempt],
        error=LineError("api_error", 503, "No capacity") if has_failed else None,
    )


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that was restarted: nothing in memory, all of it in the journal."""
    folder: Path = tmp_path_factory.mktemp("past")
    (folder / "data" / "usage").mkdir(parents=True)
    for line in map(a_line, range(COUNT)):
        with (folder / "data" / "usage" / f"{line.day[:7]}.jsonl").open("ab") as file:
            file.write(write_line(line))
    document = settings(
        upstream("first", "http://127.0.0.1:9", budget={"day_soft": 0.5, "month_hard": 100}),
        upstream("second", "http://127.0.0.1:9"),
        budget={"month_hard": 50},
    )
    with Daemon(folder, document) as running:
        yield running


def rows(page: Page) -> Locator:
    return page.locator(".request")


def test_a_restart_loses_no_row_and_older_requests_follow_on_demand(past: Daemon, open_page: Open) -> None:
    page = open_page(past, "/#/requests")
    expect(rows(page)).to_have_count(100)
    page.get_by_role("button", name="Older requests").click()
    expect(rows(page)).to_have_count(200)
    page.get_by_role("button", name="Older requests").press("Enter")
    expect(rows(page)).to_have_count(COUNT)
    expect(page.get_by_text("There are no older requests.")).to_be_visible()


def test_the_filters_reach_into_the_journal(past: Daemon, open_page: Open) -> None:
    page = open_page(past, "/#/requests")
    # the filters are drawn again, and closed, when the names of the upstreams come
    expect(page.get_by_label("Upstream", exact=True).locator("option")).to_have_count(3)
    page.get_by_label("Outcome").select_option("failed")
    expect(rows(page)).to_have_count(6)
    page.get_by_role("searchbox").fill("NO CAPACITY")
    expect(rows(page)).to_have_count(6)
    page.get_by_text("More filters").click()
    page.get_by_label("Session id").fill("session-0")
    expect(rows(page)).to_have_count(3)
    page.get_by_label("Time range").select_option("range")
    page.get_by_label("From", exact=True).fill("2001-01-01T00:00")
    page.get_by_label("To", exact=True).fill("2001-01-02T00:00")
    expect(page.get_by_text("No requests match these filters.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(rows(page)).to_have_count(100)


def test_what_is_filtered_is_downloaded(past: Daemon, open_page: Open) -> None:
    page = open_page(past, "/#/requests?outcome=failed")
    expect(rows(page)).to_have_count(6)
    with page.expect_download() as loading:
        page.get_by_role("link", name="JSON lines").click()
    lines = loading.value.path().read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"x_{number:04}" for number in range(250, -1, -50)]


def test_a_request_of_the_journal_opens(past: Daemon, open_page: Open) -> None:
    page = open_page(past, "/#/requests?outcome=failed")
    rows(page).last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("x_0000")).to_be_visible()
    expect(dialog.get_by_text("No capacity").first).to_be_visible()
    expect(page).to_have_url(re.compile("id=x_0000"))
    address = page.url
    page.keyboard.press("Escape")
    expect(rows(page).last).to_be_focused()
    again = open_page(past, address.removeprefix(past.url))
    expect(again.get_by_role("dialog").get_by_text("x_0000")).to_be_visible()


def test_new_requests_appear_above_those_of_the_journal(tmp_path: Path, open_page: Open) -> None:
    with Daemon(tmp_path) as daemon:
        body = {"model": "before", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        daemon.post("/v1/messages", body)
        daemon.restart()
        page = open_page(daemon, "/#/requests")
        expect(rows(page)).to_have_count(1)
        daemon.post("/v1/messages", body | {"model": "after"})
        expect(rows(page)).to_have_count(2)
        expect(rows(page).first).to_contain_text("after")
        daemon.restart()
        expect(page.get_by_text("live")).to_be_visible()
        expect(rows(page)).to_have_count(2)


def test_conversations_and_projects_lead_to_the_plot_of_one(past: Daemon, open_page: Open) -> None:
    page = open_page(past, "/#/sessions")
    projects = page.get_by_role("region", name="Projects").locator("tbody tr")
    expect(projects).to_have_count(2)
    expect(projects.filter(has_text=HOSTILE)).to_contain_text("1 conversation")
    projects.filter(has_text=HOSTILE).get_by_role("link").click()
    talks = page.get_by_role("region", name="Conversations").locator("tbody tr")
    expect(talks).to_have_count(1)
    expect(talks).to_contain_text("first 65")
    expect(talks).to_contain_text("75%")
    talks.get_by_role("link").click()
    expect(rows(page)).to_have_count(130)
    duration = page.get_by_role("group", name="Duration by upstream")
    expect(duration.locator(".column")).to_have_count(130)
    expect(duration.locator("rect.series-6")).to_have_count(3)
    expect(page.get_by_role("region", name="Totals")).to_contain_text("3 failed")
    cut_off = "all => all.filter((one) => one.getBBox().x < 0).map((one) => one.textContent)"
    assert page.locator(".chart text.axis").evaluate_all(cut_off) == []


def test_a_column_of_the_plot_is_reached_and_opened_by_keyboard(past: Daemon, open_page: Open) -> None:
    page = open_page(past, "/#/sessions?session=session-1")
    column = page.get_by_role("group", name="Tokens").locator(".column")
    expect(column).to_have_count(130)
    column.last.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("group", name="Tokens").locator(".tip")).to_contain_text("129 ·")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("x_0258")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"#/sessions\?session=session-1$"))


def test_a_column_keeps_the_focus_when_the_end_of_the_journal_is_reached(
    past: Daemon, open_page: Open
) -> None:
    found: list[Document] = []
    start: str | None = ""
    while start is not None:
        read = past.get(f"/api/journal?session=session-1&start={start}").json
        found, start = found + read["requests"], read["next"]
    late: list[Route] = []
    page = open_page(past, "/#/sessions")
    expect(page.get_by_role("region", name="Conversations")).to_be_visible()

    def answer(route: Route) -> None:
        """The first page has all requests of the conversation; the next one is empty and late."""
        if route.request.url.endswith("start=2026-01%3A0"):
            late.append(route)
        else:
            route.fulfill(json={"requests": found, "next": "2026-01:0", "reached": 0})

    page.route("**/api/journal?*", answer)
    page.goto(f"{past.url}/#/sessions?session=session-1")
    column = page.get_by_role("group", name="Tokens").locator(".column")
    expect(column).to_have_count(130)
    expect(page.get_by_text("Searching the journal")).to_be_visible()
    column.last.focus()
    sent(page, late).fulfill(json={"requests": [], "next": None, "reached": None})
    expect(page.locator(".list-foot")).to_be_empty()
    expect(column.last).to_be_focused()


def test_a_row_of_an_upstream_has_its_numbers_and_leads_to_the_comparison(
    past: Daemon, open_page: Open
) -> None:
    page = open_page(past, "/#/upstreams")
    first = page.locator(".entry", has_text="first").first
    expect(first).to_contain_text("succeeded")
    expect(first).to_contain_text("first token 512 ms")
    expect(first).to_contain_text("75% from cache")
    expect(first).to_contain_text("$1.24 in 24 h")
    expect(first.get_by_role("img", name="Today $1.24 of $0.50")).to_be_visible()
    expect(first.locator(".used.near")).to_have_count(1)
    first.locator("a.numbers-line").click()
    table = page.locator(".numbers-table")
    expect(table.locator("tr.marked")).to_contain_text("first")
    page.get_by_role("radio", name="7 days").click()
    expect(table.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Success").hover()
    page.mouse.down()
    before = json.loads(past.settings_path.read_text())
    third = upstream("third", "http://127.0.0.1:9", enabled=False)
    with page.expect_response("**/api/configs") as answer:
        past.change_settings({**before, "upstreams": [*before["upstreams"], third]})
    answer.value.finished()
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
    page.mouse.up()
    expect(table.locator("th[aria-sort]")).to_contain_text("Success")
    expect(table.locator("tbody tr")).to_have_count(3)
    past.change_settings(before)
    expect(page.get_by_role("img", name="This month $2.54 of $50.00")).to_be_visible()
    table.get_by_role("link", name="second").click()
    expect(rows(page)).to_have_count(100)
    expect(page.get_by_label("Upstream", exact=True)).to_have_value("second")


def test_the_week_shows_what_is_used_now_and_what_cools_down(tmp_path: Path, open_page: Open) -> None:
    overload = status(529, "Overloaded", {"retry-after": "600"})
    with ScriptedUpstream(overload) as server:
        document = settings(
            upstream("down", "http://127.0.0.1:9"),
            upstream("limited", server.url),
            upstream("spare", "http://127.0.0.1:9"),
            failover={"error_threshold": 1, "cooldown_start_seconds": 600},
        )
        with Daemon(tmp_path, document) as daemon:
            page = open_page(daemon, "/#/upstreams")
            track = page.locator(".week-row").filter(has_text="spare").locator(".week-track")
            expect(track).to_be_visible()
            expect(page.locator(".week-track .mark")).to_have_count(0)
            daemon.post("/api/use", {"upstream": "spare", "client": None, "seconds": 7200})
            expect(track.locator(".mark.used")).to_have_count(1)
            expect(track).to_have_attribute("aria-label", re.compile("used now, until"))
            message = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
            daemon.post("/v1/messages", message)
            # as a whole, and for this model only
            for name in ("down", "limited"):
                row = page.locator(".week-row").filter(has_text=name)
                expect(row.locator(".mark.cooldown")).to_have_count(1)
            daemon.post("/api/use", {"upstream": None, "client": None, "seconds": None})
            expect(page.locator(".mark.used")).to_have_count(0)


@pytest.mark.parametrize(
    "path", ["requests", "sessions", "sessions?session=session-1", "numbers", "upstreams"]
)
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_nothing_is_wider_than_a_phone(past: Daemon, open_page: Open, path: str, locale: str) -> None:
    page = open_page(past, f"/#/{path}", width=390, locale=locale)
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".spinner")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_conversation_that_is_opened_while_the_list_loads_is_shown(past: Daemon, open_page: Open) -> None:
    page = open_page(past, "/#/settings")
    late: list[Route] = []
    page.route("**/panels/sessions.js", lambda route: late.append(route))
    page.evaluate("location.hash = '#/sessions'")
    expect(page.locator("nav [aria-current='page']")).to_have_attribute("href", "/#/sessions")
    page.evaluate(
        "new Promise((seen) => (addEventListener('hashchange', seen), location.hash += '?session=session-1'))"
    )
    sent(page, late).continue_()
    expect(page.get_by_role("group", name="Tokens").locator(".column")).to_have_count(130)
    expect(page.get_by_role("region", name="Conversations")).to_have_count(0)

"""The page of token statistics: exact numbers, spans, bars, tables, CSV, reset."""

from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Locator, Page, Route, expect

from tests.bed.daemon import Daemon
from tests.browser.conftest import HOSTILE, Open, sent

PAGE = "/token-stats.html"


def ask(daemon: Daemon, model: str = "claude-x") -> None:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    assert daemon.post("/v1/messages", body).status == 200


def card(page: Page, name: str) -> Locator:
    return page.locator(".numbers > div").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def test_a_period_without_requests_is_shown_as_such(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, PAGE)
    expect(page.get_by_text("No requests in this period.")).to_be_visible()


def test_cards_bars_and_tables_report_what_was_counted(demo: Daemon, open_page: Open) -> None:
    ask(demo)
    ask(demo, HOSTILE)
    reported = demo.token_stats()["summary"]
    page = open_page(demo, PAGE)
    expect(card(page, "Requests")).to_contain_text("2")
    expect(card(page, "Input")).to_contain_text(str(reported["total_input_tokens"]))
    expect(card(page, "Output")).to_contain_text(str(reported["total_output_tokens"]))
    expect(card(page, "First byte (median)")).to_contain_text("p95 ")
    columns = page.locator(".chart .column")
    expect(columns).to_have_count(7)
    columns.last.hover()
    expect(page.locator(".tip")).to_contain_text(str(reported["total_output_tokens"]))
    columns.last.focus()
    page.keyboard.press("ArrowLeft")
    expect(columns.nth(5)).to_be_focused()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").filter(has_text=HOSTILE)).to_have_count(1)
    page.get_by_role("radio", name="Upstream", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr td").first).to_have_text("demo")
    expect(page.get_by_role("radio", name="Upstream", exact=True)).to_be_focused()
    page.clock.install()
    page.reload()
    columns.last.focus()  # as a tap does, and nothing takes it away
    ask(demo)
    page.clock.run_for(30_000)
    expect(card(page, "Requests")).to_contain_text("3")
    expect(columns.last).to_be_focused()
    expect(page.locator(".tip")).to_contain_text(str(demo.token_stats()["summary"]["total_output_tokens"]))


def test_numbers_that_come_during_a_long_press_are_shown_after_it(demo: Daemon, open_page: Open) -> None:
    ask(demo)
    page = open_page(demo, PAGE)
    page.clock.install()
    page.reload()
    page.locator("tbody tr").first.hover()
    page.mouse.down()
    ask(demo)
    for _ in range(2):
        with page.expect_response("**/api/token-stats?*") as answer:
            page.clock.run_for(30_000)
        answer.value.finished()
        page.evaluate("() => fetch('/api').then((answer) => answer.text())")  # the numbers are read before
    page.route("**/api/token-stats?*", lambda route: route.abort())  # no later numbers help
    page.mouse.up()
    page.clock.run_for(1_000)
    expect(card(page, "Requests")).to_have_text("2")


def test_today_shows_hours_and_a_period_is_chosen(demo: Daemon, open_page: Open) -> None:
    ask(demo)
    page = open_page(demo, PAGE)
    page.get_by_role("radio", name="Today").click()
    expect(page.locator(".chart .column")).to_have_count(24)
    page.get_by_role("radio", name="Custom").click()
    long_ago = (date.today() - timedelta(days=200)).isoformat()
    page.get_by_label("From").fill(long_ago)
    page.get_by_label("To", exact=True).fill((date.today() - timedelta(days=190)).isoformat())
    expect(page.get_by_text("No requests in this period.")).to_be_visible()


def test_a_late_answer_does_not_replace_the_period_chosen_meanwhile(demo: Daemon, open_page: Open) -> None:
    empty = demo.token_stats()
    ask(demo)
    page = open_page(demo, PAGE)
    expect(page.locator(".chart .column")).to_have_count(7)
    late: list[Route] = []
    page.route("**/api/token-stats?*", lambda route: late.append(route), times=1)
    page.get_by_role("radio", name="30 days").click()
    page.get_by_role("radio", name="Today").click()
    columns = page.locator(".chart .column")
    expect(columns).to_have_count(24)
    with page.expect_response("**/api/token-stats?*") as answer:
        sent(page, late).fulfill(json=empty)
    answer.value.finished()
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
    expect(columns).to_have_count(24)


def test_tests_are_shown_apart_and_their_failures_are_no_failed_requests(
    demo: Daemon, open_page: Open
) -> None:
    ask(demo)
    assert demo.post("/api/upstreams/test", {"name": "demo"}).json["ok"]
    entry = {"name": "gone", "base_url": demo.url + "/nowhere", "protocol": "messages", "key": "k"}
    assert not demo.post("/api/upstreams/test", {"entry": entry}).json["ok"]
    summary = demo.token_stats()["summary"]
    tests, failed = summary["tests"], summary["failed_tests"]
    assert (summary["total_requests"], summary["errors"], tests - failed) == (1, 0, 1)
    page = open_page(demo, PAGE)
    expect(card(page, "Requests")).to_have_text("1")
    expect(card(page, "Cost")).to_have_text("–1 local, without a price")
    apart = "Counted apart from requests, but included in tokens and cost: connection tests:"
    expect(page.get_by_text(f"{apart} {tests} ({failed} failed).", exact=True)).to_be_visible()
    expect(page.get_by_role("columnheader", name="Failed")).to_have_attribute(
        "title", "Requests that got an error instead of an answer."
    )


def test_a_series_is_hidden_and_another_measure_is_shown(demo: Daemon, open_page: Open) -> None:
    ask(demo)
    page = open_page(demo, PAGE)
    expect(page.locator("rect.series-4")).to_have_count(1)
    page.locator(".legend").get_by_role("button", name="Output").click()
    expect(page.locator("rect.series-4")).to_have_count(0)
    page.get_by_role("radio", name="Requests").click()
    expect(page.locator(".chart rect.series-1")).to_have_count(1)


def test_the_table_is_downloaded_as_csv(demo: Daemon, open_page: Open, tmp_path: Path) -> None:
    ask(demo)
    page = open_page(demo, PAGE)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    path = tmp_path / "tokens.csv"
    download.value.save_as(path)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("key,input_tokens,output_tokens")
    assert lines[1].startswith("claude-x,")


def test_a_reset_keeps_a_copy(demo: Daemon, open_page: Open) -> None:
    ask(demo)
    page = open_page(demo, PAGE)
    page.get_by_role("button", name="Reset…").click()
    page.get_by_role("dialog", name="Reset statistics?").get_by_role("button", name="Reset").click()
    expect(page.get_by_text("No requests in this period.")).to_be_visible()
    assert len(list(demo.data.glob("token_stats.before-*.json"))) == 1
    assert demo.token_stats()["summary"]["total_requests"] == 0

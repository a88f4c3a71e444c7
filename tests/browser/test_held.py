"""Held requests on the overview: why they wait and for how long, "Try now", "Give up", by mouse and by keyboard."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bed.holding import REASON, Holding, holding
from tests.bed.patience import PATIENCE_SECONDS
from tests.browser.conftest import CHINESE, HOSTILE, LONG, Open
from tests.browser.test_look import STATIC, WEAK_TEXT, WIDE


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[Holding]:
    with holding(tmp_path) as made:
        yield made


def held(page: Page) -> Locator:
    return page.get_by_role("region", name="Held requests")


def rows(page: Page) -> Locator:
    return held(page).locator(".held")


def test_a_held_request_appears_with_its_reason_and_times(outage: Holding, open_page: Open) -> None:
    page = open_page(outage.daemon)
    expect(page.locator(".lane").first).to_be_visible()
    expect(held(page)).to_have_count(0)
    outage.hold(model="claude-x")
    row = rows(page)
    expect(row).to_contain_text("claude-x")
    expect(row).to_contain_text("claude-cli 2.1.197")
    expect(row).to_contain_text(f"a— 503 {REASON} (1 try)")
    expect(row).to_contain_text(re.compile(r"held for 0:\d\d"))
    expect(row).to_contain_text(re.compile(r"next try in (1:\d\d|2:00)"))
    expect(row).to_contain_text(re.compile(r"gives up at \d\d:\d\d"))
    expect(page.get_by_text("1 request is held.")).to_be_attached()
    outage.hold()
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_text("2 requests are held.")).to_be_attached()


def test_try_now_answers_the_request_once_the_upstream_has_recovered(
    outage: Holding, open_page: Open
) -> None:
    page = open_page(outage.daemon)
    (asked,) = outage.hold()
    rows(page).get_by_role("button", name="Try now").click()
    expect(rows(page)).to_contain_text("(2 tries)")
    outage.recover()
    rows(page).get_by_role("button", name="Try now").click()
    expect(held(page)).to_have_count(0)
    assert asked.result(PATIENCE_SECONDS).status == 200
    expect(page.get_by_text("No requests are held any more.")).to_be_attached()


def test_give_up_ends_the_request_with_its_error(outage: Holding, open_page: Open) -> None:
    page = open_page(outage.daemon)
    (first,) = outage.hold(model="first")
    (second,) = outage.hold(model="second")
    rows(page).filter(has_text="first").get_by_role("button", name="Give up").click()
    expect(rows(page)).to_have_count(1)
    assert REASON in first.result(PATIENCE_SECONDS).text
    assert not second.done()


def test_all_are_tried_at_once(outage: Holding, open_page: Open) -> None:
    page = open_page(outage.daemon)
    asked = [*outage.hold(2, model="one"), *outage.hold(2, model="two")]
    outage.recover()
    held(page).get_by_role("button", name="Try all now").click()
    expect(held(page)).to_have_count(0)
    assert [one.result(PATIENCE_SECONDS).status for one in asked] == [200] * 4


def test_of_a_crowd_the_oldest_are_shown_and_the_others_counted(outage: Holding, open_page: Open) -> None:
    page = open_page(outage.daemon)
    outage.hold(8)
    expect(rows(page)).to_have_count(6)
    expect(held(page).get_by_text("2 more…")).to_be_visible()
    outage.daemon.post("/api/held/give-up", {"id": outage.rows()[0]["id"]})
    expect(held(page).get_by_text("1 more…")).to_be_visible()


def test_the_keyboard_does_it_all_and_keeps_its_place(outage: Holding, open_page: Open) -> None:
    page = open_page(outage.daemon)
    outage.hold(model="first")
    outage.hold(model="second")
    expect(rows(page)).to_have_count(2)
    held(page).get_by_role("button", name="Try all now").focus()
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent"))
    assert names == ["first", "Try now", "Give up", "second", "Try now", "Give up"]
    age = rows(page).last.get_by_text("held for")
    before = age.text_content() or ""
    expect(age).not_to_have_text(before)
    expect(rows(page).last.get_by_role("button", name="Give up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).get_by_role("button", name="Try now")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(held(page)).to_have_count(0)
    expect(page.locator("main")).to_be_focused()


def test_the_lane_says_what_a_new_request_would_be_held_for(outage: Holding, open_page: Open) -> None:
    page = open_page(outage.daemon)
    outage.hold()
    messages = page.locator(".lane[data-client=messages]")
    expect(messages).to_contain_text(
        "All upstreams are cooling down. New requests are held until one of these answers:"
    )
    expect(messages.locator(".stop")).to_contain_text("a")
    page.get_by_role("button", name="Explain a route").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Explain", exact=True).click()
    expect(dialog).to_contain_text("1 request is held for a → m. The next try is at ")


def test_a_request_is_marked_while_it_is_held_and_reports_for_how_long_it_was(
    outage: Holding, open_page: Open
) -> None:
    page = open_page(outage.daemon, "/#/requests")
    (asked,) = outage.hold(model="claude-x")
    row = page.locator(".request", has_text="claude-x")
    expect(row.locator(".badge")).to_have_text("held")
    outage.recover()
    outage.daemon.post("/api/held/try")
    asked.result(PATIENCE_SECONDS)
    expect(row.locator(".badge")).to_have_text("ok")
    row.click()
    details = page.get_by_role("dialog").locator(".pairs")
    expect(details.locator("dt", has_text="Time held")).to_be_visible()


# --- how it looks ------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holding]:
    """Names that want to break the page."""
    with holding(tmp_path_factory.mktemp("held"), LONG) as made:
        for model in ("claude-x", "m" * 200, HOSTILE, CHINESE):
            made.hold(model=model)
        yield made


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_is_wider_than_the_page(crowd: Holding, open_page: Open, width: int) -> None:
    page = open_page(crowd.daemon, width=width)
    expect(rows(page)).to_have_count(4)
    assert page.evaluate(WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(crowd: Holding, open_page: Open, theme: str) -> None:
    page = open_page(crowd.daemon, color_scheme=theme)
    expect(rows(page)).to_have_count(4)
    assert page.evaluate(WEAK_TEXT) == []


def test_it_speaks_chinese(crowd: Holding, open_page: Open) -> None:
    page = open_page(crowd.daemon, locale="zh-CN")
    section = page.get_by_role("region", name="等待中的请求")
    expect(section.get_by_role("button", name="立即重试")).to_have_count(5)
    expect(section.locator(".held").first).to_contain_text(re.compile(r"已等待 \d:\d\d"))
    words = set(json.loads((STATIC / "i18n" / "en.json").read_text()))
    assert set(page.locator("main").inner_text().split()) & words == set()

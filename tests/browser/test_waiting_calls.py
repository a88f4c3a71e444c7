"""Tool calls on the dashboard: those that wait for a decision, those that are marked, and the trust in an entry."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bed.patience import PATIENCE_SECONDS
from tests.browser.conftest import Open
from tests.daemon.test_vetting import ATTACK, Vetted, arguments, call, vetted


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Vetted]:
    with vetted(tmp_path, call(), trust="low", on_suspicion="hold") as made:
        yield made


def waiting(page: Page, name: str = "Tool calls that wait for you") -> Locator:
    return page.get_by_role("region", name=name)


def test_a_waiting_call_shows_what_it_would_do_and_is_released(holding: Vetted, open_page: Open) -> None:
    page = open_page(holding.daemon)
    expect(page.locator(".lane").first).to_be_visible()
    expect(waiting(page)).to_have_count(0)
    future, _ = holding.asked()
    row = waiting(page).locator("li.held")
    expect(row).to_contain_text("Bash")
    expect(row).to_contain_text("Runs a download: evil.example/x")
    expect(row).to_contain_text(ATTACK)
    expect(row).to_contain_text(re.compile(r"refused at \d\d:\d\d"))
    expect(page.get_by_text("1 tool call waits for your decision.")).to_be_attached()
    row.get_by_role("button", name="Release").click()
    expect(waiting(page)).to_have_count(0)
    assert "evil.example" in arguments(future.result(PATIENCE_SECONDS))


def test_a_call_is_refused_by_keyboard_and_its_request_says_so(holding: Vetted, open_page: Open) -> None:
    page = open_page(holding.daemon)
    future, row = holding.asked()
    refuse = waiting(page).get_by_role("button", name="Refuse")
    expect(refuse).to_be_visible()
    refuse.focus()
    page.keyboard.press("Enter")
    assert "evil.example" not in future.result(PATIENCE_SECONDS).text
    expect(waiting(page)).to_have_count(0)
    page.goto(f"{holding.daemon.url}/#/requests?id={row['request']}")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Marked tool calls")
    expect(dialog).to_contain_text("refused by you")
    expect(dialog).to_contain_text("Runs a download: evil.example/x")


def test_an_unknown_call_has_a_badge_in_the_list_and_its_reason_in_the_details(
    tmp_path: Path, open_page: Open
) -> None:
    with vetted(tmp_path, call("Evil")) as made:
        made.ask()
        page = open_page(made.daemon, "/#/requests")
        badge = page.locator(".request .badge", has_text="calls")
        expect(badge).to_have_attribute("title", "1 tool call is marked: see the details.")
        page.locator(".request").first.click()
        expect(page.get_by_role("dialog")).to_contain_text("The request does not offer this tool")
        expect(page.get_by_role("dialog")).to_contain_text("passed on")


def test_a_waiting_call_fits_a_phone_and_is_translated(holding: Vetted, open_page: Open) -> None:
    page = open_page(holding.daemon, width=380, locale="zh-CN")
    future, row = holding.asked()
    region = waiting(page, "等待你决定的工具调用")
    expect(region.get_by_role("button", name="放行")).to_be_visible()
    expect(region).to_contain_text("执行下载的内容: evil.example/x")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    holding.decide(row["id"], False)
    future.result(PATIENCE_SECONDS)


def test_the_trust_is_set_in_the_editor(tmp_path: Path, open_page: Open) -> None:
    with vetted(tmp_path, call()) as made:
        page = open_page(made.daemon, "/#/upstreams")
        page.get_by_role("button", name="Edit").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("Trust in tool calls").click()
        dialog.get_by_label("Trust", exact=True).select_option("low")
        dialog.get_by_label("Suspicious calls").select_option("hold")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_have_count(0)
        entry = made.daemon.get("/api/configs").json["upstreams"][0]
        assert (entry["trust"], entry["on_suspicion"]) == ("low", "hold")

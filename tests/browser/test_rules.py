"""The panel of rules: what is edited there is what the file gets, with errors and past requests beside each rule."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.browser.conftest import HOSTILE, Open

CLAUDE_CODE = {"user-agent": "claude-cli/2.1.332 (external, cli)"}
KEPT: Document = {
    "name": "old",
    "note": "of mine",
    "when": {"client": ["codex"], "project": "~/a/*", "weekdays": ["sun"], "later": 1},
    "upstreams": ["first"],
    "only": False,
}


@pytest.fixture
def ruled(tmp_path: Path) -> Iterator[Daemon]:
    with ScriptedUpstream(say("Hello")) as answering:
        entries = [upstream("first", answering.url), upstream(HOSTILE, answering.url)]
        with Daemon(tmp_path, settings(*entries, routes=[KEPT])) as running:
            yield running


def stored(daemon: Daemon) -> list[Document]:
    document: Document = json.loads(daemon.settings_path.read_text())
    rules: list[Document] = document["routes"]
    return rules


def rule(page: Page, number: int) -> Locator:
    return page.locator(".rule").nth(number - 1)


def opened(page: Page, number: int) -> Locator:
    item = rule(page, number)
    item.locator(".rule-opener").click()
    return item


def save(page: Page) -> None:
    page.locator(".save-bar").get_by_role("button", name="Save").click()
    expect(page.locator(".save-bar")).to_be_hidden()
    expect(page.get_by_text("Saved.")).to_be_visible()


def ask(daemon: Daemon, model: str, **headers: str) -> None:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    assert daemon.post("/api/v1/messages", body, CLAUDE_CODE | headers).status == 200


def test_a_rule_is_made_with_every_field_and_saved(ruled: Daemon, open_page: Open) -> None:
    page = open_page(ruled, "/#/rules")
    page.get_by_role("button", name="Add rule").click()
    new = rule(page, 2)
    expect(new.get_by_label("Name", exact=True)).to_be_focused()
    new.get_by_label("Name", exact=True).fill(HOSTILE)
    new.get_by_label("Client", exact=True).fill("claude-code\n\n opencode/* ")
    new.get_by_label("Requested model").fill("claude-*")
    new.get_by_label("Project").fill("~/company/*")
    new.get_by_label("Client key").fill("laptop")
    for label, choice in {
        "Sub-agent": "yes",
        "Background": "no",
        "Compaction": "no",
        "Thinking": "yes",
        "Web search": "no",
        "Images": "no",
    }.items():
        new.get_by_label(label, exact=True).select_option(choice)
    new.get_by_label("More tokens than").fill("1000")
    new.get_by_label("Fewer tokens than").fill("60000")
    new.get_by_label("Hours").fill("22:00-06:00")
    for label in ("Messages", "high", "max", "Sat", "Sun"):
        new.get_by_label(label, exact=True).check()
    new.get_by_role("button", name="Add upstream").click()
    new.get_by_role("button", name="Add upstream").click()
    new.locator(".upstream-row").last.get_by_role("button", name="Move up").click()
    new.get_by_label("Only these upstreams").check()
    new.get_by_label("Model", exact=True).fill("qwen3-coder")
    new.get_by_label("Effort", exact=True).select_option("low")
    new.get_by_label("Longest answer (tokens)").fill("8000")
    expect(new.locator(".rule-words")).to_contain_text("claude-code, opencode/* · Messages · model claude-*")
    save(page)
    assert stored(ruled) == [
        KEPT,
        {
            "name": HOSTILE,
            "when": {
                "client": ["claude-code", "opencode/*"],
                "model": "claude-*",
                "project": "~/company/*",
                "client_key": "laptop",
                "subagent": True,
                "background": False,
                "compaction": False,
                "thinking": True,
                "web_search": False,
                "images": False,
                "tokens_over": 1000,
                "tokens_under": 60000,
                "hours": "22:00-06:00",
                "protocol": "messages",
                "effort": ["high", "max"],
                "weekdays": ["sat", "sun"],
            },
            "upstreams": [HOSTILE, "first"],
            "only": True,
            "model": "qwen3-coder",
            "effort": "low",
            "max_tokens": 8000,
        },
    ]


def test_a_rule_keeps_what_is_not_changed(ruled: Daemon, open_page: Open) -> None:
    page = open_page(ruled, "/#/rules")
    item = opened(page, 1)
    expect(item.get_by_label("Upstream", exact=True)).to_have_value("first")
    expect(page.locator(".save-bar")).to_be_hidden()
    item.get_by_label("Name", exact=True).fill("new")
    save(page)
    assert stored(ruled) == [KEPT | {"name": "new"}]


def test_fields_are_emptied(ruled: Daemon, open_page: Open) -> None:
    page = open_page(ruled, "/#/rules")
    item = opened(page, 1)
    item.get_by_label("Name", exact=True).fill("")
    item.get_by_label("Client", exact=True).fill("")
    item.get_by_label("Project").fill("")
    item.get_by_label("Sun", exact=True).uncheck()
    for _ in KEPT["upstreams"]:
        item.locator(".upstream-row").first.get_by_role("button", name="Remove this row").click()
    expect(item.locator(".rule-words")).to_have_text("every request→ nothing changes")
    save(page)
    assert stored(ruled) == [{"note": "of mine", "when": {"later": 1}, "only": False}]


def test_rules_are_moved_with_the_keyboard_and_deleted(ruled: Daemon, open_page: Open) -> None:
    rules = [{"name": name} for name in ("one", "two", "three")]
    ruled.change_settings(json.loads(ruled.settings_path.read_text()) | {"routes": rules})
    page = open_page(ruled, "/#/rules")
    rule(page, 3).get_by_role("button", name="Move up").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(rule(page, 1).get_by_role("button", name="Move up")).to_be_focused()
    expect(page.locator(".rule-number")).to_have_text(["1", "2", "3"])
    save(page)
    assert [one["name"] for one in stored(ruled)] == ["three", "one", "two"]
    rule(page, 2).get_by_role("button", name="Delete this rule").focus()
    page.keyboard.press("Enter")
    expect(rule(page, 2).locator(".rule-opener")).to_be_focused()
    page.keyboard.press("Enter")
    expect(rule(page, 2).get_by_label("Name", exact=True)).to_be_visible()
    save(page)
    assert [one["name"] for one in stored(ruled)] == ["three", "two"]


def test_errors_are_beside_their_field_also_after_a_move(ruled: Daemon, open_page: Open) -> None:
    page = open_page(ruled, "/#/rules")
    page.get_by_role("button", name="Add rule").click()
    new = rule(page, 2)
    new.get_by_label("Hours").fill("25:00")
    hours = new.locator(".field").filter(has=page.get_by_label("Hours"))
    expect(hours.locator(".wrong")).to_contain_text("Expected local times such as 08:00-23:30")
    expect(new.get_by_label("Hours")).to_have_attribute("aria-invalid", "true")
    expect(new.get_by_text("Correct the errors first.")).to_be_visible()
    new.get_by_role("button", name="Move up").last.scroll_into_view_if_needed()
    new.locator(".rule-head").get_by_role("button", name="Move up").click()
    moved = rule(page, 1)
    moved.locator(".rule-opener").click()
    expect(moved.get_by_text("has errors")).to_be_visible()
    expect(rule(page, 2).get_by_text("has errors")).to_be_hidden()
    moved.locator(".rule-opener").click()
    moved.get_by_label("Hours").fill("")
    moved.get_by_label("Only these upstreams").check()
    expect(moved.locator(".wrong").filter(has_text="at least one upstream")).to_be_visible()
    moved.get_by_label("Only these upstreams").uncheck()
    expect(moved.get_by_text("has errors")).to_be_hidden()


def test_errors_are_in_chinese_on_a_chinese_page(ruled: Daemon, open_page: Open) -> None:
    page = open_page(ruled, "/#/rules", locale="zh-CN")
    item = opened(page, 1)
    item.get_by_label("时段").fill("25:00")
    expect(item.locator(".wrong").filter(has_text="应为 本地时段")).to_be_visible()
    item.get_by_label("时段").fill("")
    item.get_by_label("token 数大于").fill("9")
    item.get_by_label("token 数小于").fill("5")
    expect(item.locator(".wrong:visible")).to_have_text(re.compile("[一-龥]"))


def test_a_rule_shows_which_past_requests_match_and_which_rule_decides_them(
    ruled: Daemon, open_page: Open
) -> None:
    ruled.change_settings(json.loads(ruled.settings_path.read_text()) | {"routes": []})
    ask(ruled, "m-main")
    ask(ruled, "m-agent", **{"x-claude-code-agent-id": "a1"})
    page = open_page(ruled, "/#/rules")
    page.get_by_role("button", name="Add rule").click()
    first = rule(page, 1)
    first.get_by_label("Name", exact=True).fill("agents")
    expect(first.get_by_text("2 of 2 requests match.")).to_be_visible()
    first.get_by_label("Sub-agent", exact=True).select_option("yes")
    expect(first.get_by_text("1 of 2 requests match.")).to_be_visible()
    expect(first.locator(".match")).to_contain_text("m-agent")
    first.locator(".rule-opener").click()

    page.get_by_role("button", name="Add rule").click()
    second = rule(page, 2)
    second.get_by_label("Client", exact=True).fill("claude-code")
    expect(second.get_by_text("An earlier rule decides 1 of them.")).to_be_visible()
    expect(second.locator(".match").first).to_contain_text("rule 1 decides")
    second.locator(".rule-head").get_by_role("button", name="Move up").click()
    expect(rule(page, 1).get_by_text("An earlier rule decides")).to_have_count(0)

    rule(page, 1).locator(".match").first.click()
    expect(page.get_by_role("dialog").get_by_text("claude-code · sub-agents")).to_be_visible()
    page.keyboard.press("Escape")
    expect(rule(page, 1).get_by_label("Client", exact=True)).to_have_value("claude-code")


def test_the_detail_of_a_request_names_the_rule_that_decided(ruled: Daemon, open_page: Open) -> None:
    rules = [{"name": HOSTILE, "when": {"subagent": True}}, {"when": {"model": "m-*"}}]
    ruled.change_settings(json.loads(ruled.settings_path.read_text()) | {"routes": rules})
    ask(ruled, "m-agent", **{"x-claude-code-agent-id": "a1"})
    ask(ruled, "m-main")
    page = open_page(ruled, "/#/requests")
    for model, name in (("m-agent", HOSTILE), ("m-main", "Rule 2")):
        page.locator(".request").filter(has_text=model).click()
        pair = page.get_by_role("dialog").locator("dt", has_text=re.compile("^Rule$"))
        expect(pair.locator("+ dd")).to_have_text(name)
        page.keyboard.press("Escape")


def test_without_rules_and_requests_the_panel_explains_itself(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/rules", width=390)
    expect(page.get_by_text("There are no rules yet.")).to_be_visible()
    page.get_by_role("button", name="Add rule").click()
    expect(page.get_by_text("There are no rules yet.")).to_be_hidden()
    expect(page.get_by_text("There are no requests yet since the last start.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390

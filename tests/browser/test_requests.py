"""The list of requests: live, filtered, opened, replayed, and smooth with 500 of them."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.browser.conftest import HOSTILE, Open

PANEL = "/#/requests"
LONGEST_PAUSE_MILLISECONDS = 250
"""of the page's main thread while requests stream in: what a person does not feel as a jerk, on a busy machine"""


def message(model: str, prompt: str = "hello") -> Document:
    return {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": prompt}]}


def rows(page: Page) -> Locator:
    return page.locator(".request")


def test_requests_appear_live_and_are_filtered(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, PANEL)
    expect(page.get_by_text("No requests yet.")).to_be_visible()
    demo.post("/v1/messages", message("claude-x"))
    demo.post("/v1/messages", message(HOSTILE))
    demo.post("/v1/chat/completions", message("gpt-x", "demo: fail 401"))
    expect(rows(page)).to_have_count(3)
    expect(rows(page).nth(1)).to_contain_text(HOSTILE)
    page.get_by_label("Outcome").select_option("failed")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("gpt-x")
    page.get_by_label("Outcome").select_option("")
    page.get_by_role("searchbox").fill("onerror")
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_text("1 request", exact=True)).to_be_visible()
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_text("No requests match these filters.")).to_be_visible()


def test_a_request_opens_to_its_attempts_reasons_losses_and_numbers(demo: Daemon, open_page: Open) -> None:
    with ScriptedUpstream(say("fine")) as server:
        demo.change_settings(
            settings(
                upstream("broken", "http://127.0.0.1:9"),
                upstream("off", server.url, enabled=False),
                upstream("chat server", server.url, "chat", capabilities={"top_k": False}),
            )
        )
        demo.post("/v1/messages", message("claude-x") | {"top_k": 5})
        page = open_page(demo, PANEL)
        rows(page).first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.locator(".attempts > li")).to_have_count(2)
        expect(dialog.locator(".attempts > li").first).to_contain_text("cannot connect")
        expect(dialog.locator(".attempts > li").first).to_contain_text(
            "Action: tried next upstream (cannot connect"
        )
        expect(dialog.locator(".attempts > li").last).to_contain_text("/v1/chat/completions")
        expect(dialog.get_by_text("top_k", exact=True)).to_be_visible()
        expect(dialog.locator(".skips li").filter(has_text="off")).to_contain_text("disabled")
        expect(dialog.locator(".pairs")).to_contain_text("11 reported · about")
        expect(dialog.locator(".pairs")).to_contain_text("tokens per second")
        expect(dialog.get_by_text("The bodies of this request were not captured")).to_be_visible()
        assert "sk-of-" not in page.content()
        page.keyboard.press("Escape")
        expect(rows(page).first).to_be_focused()


def test_a_captured_request_is_replayed_with_another_upstream(demo: Daemon, open_page: Open) -> None:
    with ScriptedUpstream(say("from one")) as one, ScriptedUpstream(say("from two")) as two:
        demo.change_settings(settings(upstream("one", one.url), upstream("two", two.url)))
        demo.post("/api/capture", {"mode": "all"})
        demo.post("/v1/messages", message("claude-x"))
        page = open_page(demo, PANEL)
        rows(page).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("combobox").select_option("two")
        dialog.get_by_role("button", name="Replay with this upstream").click()
        expect(dialog.locator(".attempts")).to_contain_text("two")
        expect(dialog.get_by_text("replay", exact=True)).to_be_visible()
        assert two.requests[0].json["model"] == "claude-x"


@pytest.mark.timing
def test_five_hundred_requests_are_listed_and_more_stream_in_without_jank(
    demo: Daemon, open_page: Open
) -> None:
    for number in range(500):
        assert demo.post("/v1/messages", message(f"model-{number}")).status == 200
    page = open_page(demo, PANEL)
    expect(rows(page)).to_have_count(500)
    page.evaluate(
        """() => {
            window.pauses = [];
            new PerformanceObserver((list) => pauses.push(...list.getEntries().map((one) => one.duration)))
              .observe({ type: "longtask" });
        }"""
    )
    for number in range(40):
        demo.post("/v1/messages", message(f"late-{number}"))
    expect(rows(page).first).to_contain_text("late-39")
    expect(rows(page)).to_have_count(540)
    page.mouse.wheel(0, 4000)
    page.get_by_role("searchbox").press_sequentially("late-1")
    expect(page.get_by_text("11 requests", exact=True)).to_be_visible()
    pauses: list[float] = page.evaluate("pauses")
    assert [pause for pause in pauses if pause > LONGEST_PAUSE_MILLISECONDS] == []


def test_an_address_opens_its_request(demo: Daemon, open_page: Open) -> None:
    demo.post("/v1/messages", message("claude-x"))
    id = demo.get("/api/requests").json["requests"][0]["id"]
    page = open_page(demo, f"{PANEL}?id={id}")
    expect(page.get_by_role("dialog").get_by_text(id)).to_be_visible()
    missing = open_page(demo, f"{PANEL}?id=x_gone")
    expect(missing.get_by_role("dialog").get_by_text("not among the newest")).to_be_visible()

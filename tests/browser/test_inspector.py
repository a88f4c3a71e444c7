"""The inspector: a request is captured, and shown as received and as sent."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, answer, status
from tests.bed.wire import Call, Reply
from tests.browser.conftest import HOSTILE, Open

PANEL = "/#/requests"
LONG_TEXT = "a long rule. " * 100


def message(prompt: str = "hello", **more: object) -> Document:
    return {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": prompt}], **more}


def capture(page: Page, mode: str) -> None:
    page.get_by_label("Capture").select_option(label=mode)
    expect(page.get_by_label("Capture")).to_be_enabled()


def rows(page: Page) -> Locator:
    return page.locator(".request")


def row(dialog: Locator, text: str) -> Locator:
    return dialog.locator(".compared-row").filter(has_text=text)


def test_the_next_request_is_captured_inspected_and_deleted(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, PANEL)
    demo.post("/v1/messages", message("before"))
    capture(page, "Next request")
    expect(page.get_by_text("Waiting for one request, then off.")).to_be_visible()
    demo.post("/v1/messages", message("captured one"))
    expect(page.get_by_text("1 captured")).to_be_visible()
    expect(page.get_by_label("Capture")).to_have_value("off")
    demo.post("/v1/messages", message("after"))
    expect(rows(page)).to_have_count(3)
    expect(rows(page).filter(has_text="captured")).to_have_count(1)
    page.get_by_role("button", name="Inspect the newest").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Captured request")
    expect(row(dialog, "captured one")).to_contain_text("same")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete captured").click()
    expect(page.get_by_text("1 captured")).to_have_count(0)
    assert demo.get("/api/state").json["capture"] == {"mode": "off", "requests": []}
    rows(page).nth(1).click()
    expect(page.get_by_text("The bodies of this request were not captured")).to_be_visible()
    expect(page.get_by_role("button", name="Inspect", exact=True)).to_have_count(0)


def test_of_errors_only_the_failed_requests_are_captured(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, PANEL)
    capture(page, "Errors only")
    expect(page.get_by_text("Keeps requests that fail")).to_be_visible()
    demo.post("/v1/messages", message("fine"))
    demo.post("/v1/messages", message("demo: fail 401"))
    expect(page.get_by_text("1 captured")).to_be_visible()
    rows(page).filter(has_text="captured").click()
    page.get_by_role("button", name="Inspect", exact=True).click()
    dialog = page.get_by_role("dialog", name="Captured request")
    expect(row(dialog, "demo: fail 401")).to_be_visible()
    expect(dialog.get_by_text("No curl command")).to_be_visible()


@pytest.fixture(scope="module")
def failed_over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A captured failover from a Messages to a Chat upstream."""
    reply = answer(Reply(f"Hi {HOSTILE}", thinking="hm", calls=(Call("read", {"path": "/a"}),)))
    tool = {"name": "read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}
    call = {"type": "tool_use", "id": "t", "name": "read", "input": {"path": "/b"}}
    turns = [
        {"role": "user", "content": f"{HOSTILE} and sk-of-good"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "found it"}]},
    ]
    system = [{"type": "text", "text": LONG_TEXT, "cache_control": {"type": "ephemeral"}}]
    more: Document = {"messages": turns, "system": system, "tools": [tool], "stop_sequences": ["END"]}
    with ScriptedUpstream(status(503)) as failing, ScriptedUpstream(reply) as server:
        entries = (
            upstream("bad", failing.url, priority=90),
            upstream("good", server.url, "chat", models={"*": "other-model"}),
        )
        with Daemon(tmp_path_factory.mktemp("failover"), settings(*entries)) as daemon:
            daemon.post("/api/capture", {"mode": "next"})
            daemon.post("/v1/messages", message(stream=True, **more), {"anthropic-beta": "some-beta"})
            yield daemon


@pytest.fixture
def failover(failed_over: Daemon, open_page: Open) -> Page:
    """The list of requests with it."""
    return open_page(failed_over, PANEL, permissions=["clipboard-read", "clipboard-write"])


def inspected(page: Page) -> Locator:
    page.get_by_role("button", name="Inspect the newest").click()
    return page.get_by_role("dialog", name="Captured request")


def test_received_and_sent_stand_side_by_side_with_what_differs_in_words(failover: Page) -> None:
    dialog = inspected(failover)
    expect(dialog.get_by_role("heading", name="Sent to good")).to_be_visible()
    expect(row(dialog, "model: claude-x")).to_contain_text("changed")
    expect(row(dialog, "model: claude-x")).to_contain_text("model: other-model")
    expect(row(dialog, "max_tokens: 9")).to_contain_text("same")
    expect(row(dialog, "stop_sequences")).to_contain_text("other name")
    expect(row(dialog, "stream_options")).to_contain_text("added")
    expect(row(dialog, "cache_control: not sent")).to_contain_text("changed")
    long = row(dialog, "cache_control: not sent").locator("details.long").first
    expect(long.locator(".said")).to_be_hidden()
    long.locator("summary").click()
    expect(long.locator(".said")).to_have_text(LONG_TEXT)
    expect(row(dialog, f"{HOSTILE} and [key]")).to_contain_text("same")
    expect(row(dialog, "tool call")).to_contain_text('"path": "/b"')
    expect(row(dialog, "found it")).to_contain_text("result")
    dialog.get_by_text("Headers", exact=True).click()
    expect(row(dialog, "anthropic-beta: some-beta")).to_contain_text("not sent")
    dialog.get_by_text("Tools", exact=True).click()
    expect(row(dialog, "Reads.")).to_contain_text("same")
    dialog.get_by_role("radio", name="Changes only").click()
    expect(row(dialog, "max_tokens: 9")).to_have_count(0)
    expect(row(dialog, "model: claude-x")).to_be_visible()
    assert "sk-of-good" not in failover.content() and failover.title() == "Requests · Switchyard"


def test_each_attempt_has_its_own_comparison(failover: Page) -> None:
    dialog = inspected(failover)
    dialog.get_by_label("Attempt").select_option("0")
    expect(dialog.get_by_role("heading", name="Sent to bad")).to_be_visible()
    expect(row(dialog, "model: claude-x")).to_contain_text("same")
    dialog.get_by_role("radio", name="Answer").click()
    expect(dialog.locator(".answers > section").first).to_contain_text("503")


def test_both_answers_show_their_content_and_their_events_with_times(failover: Page) -> None:
    dialog = inspected(failover)
    dialog.get_by_role("radio", name="Request").focus()
    failover.keyboard.press("ArrowRight")
    sides = dialog.locator(".answers > section")
    expect(sides).to_have_count(2)
    received, delivered = sides.all()
    for side in (received, delivered):
        expect(side).to_contain_text(f"Hi {HOSTILE}")
        expect(side).to_contain_text('"path": "/a"')
        expect(side.locator(".events > li").first).to_contain_text(" ms")
    expect(received.locator(".events > li").last).to_contain_text("[DONE]")
    expect(delivered.locator(".events > li").first).to_contain_text("message_start")


def test_the_raw_bodies_are_shown_copied_and_given_as_curl(failover: Page) -> None:
    dialog = inspected(failover)
    dialog.get_by_role("radio", name="Raw bodies").click()
    dialog.get_by_label("Raw bodies").last.select_option("sent")
    expect(dialog.locator("pre.code")).to_contain_text('"model":"other-model"')
    dialog.get_by_role("button", name="Copy", exact=True).click()
    expect(failover.get_by_text("Copied")).to_be_visible()
    sent = failover.evaluate("navigator.clipboard.readText()")
    assert json.loads(sent)["model"] == "other-model"
    dialog.get_by_role("button", name="Copy as curl").click()
    copied = "navigator.clipboard.readText()"
    wait_until(lambda: failover.evaluate(copied).startswith("curl "), "the command in the clipboard")
    command = failover.evaluate(copied)
    assert '-H "authorization: Bearer $KEY"' in command and sent[:40] in command


def test_a_large_request_does_not_stall_the_page(demo: Daemon, open_page: Open) -> None:
    demo.post("/api/capture", {"mode": "next"})
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": f"turn {number} " + "x" * 8000}
        for number in range(1001)
    ]
    demo.post("/v1/messages", message(messages=turns))
    page = open_page(demo, PANEL)
    dialog = inspected(page)
    expect(row(dialog, "turn 1000 ")).to_be_visible()
    expect(row(dialog, "turn 7 x")).to_have_count(0)
    dialog.get_by_role("button", name="earlier ones").click()
    expect(row(dialog, "turn 7 x")).to_have_count(1)
    dialog.get_by_role("radio", name="Raw bodies").click()
    expect(dialog.get_by_text("Only the beginning is shown.")).to_be_visible()
    assert len(dialog.locator("pre.code").inner_text()) <= 20_000

"""The panel of upstreams: what a user does there, and what the file says afterwards."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.keychain import FakeKeychain
from tests.bed.upstream import ScriptedUpstream, answer, say, whole
from tests.bed.wire import Reply
from tests.browser.conftest import CHINESE, HOSTILE, LONG, Open, sent

PANEL = "/#/upstreams"


def stored(daemon: Daemon) -> list[Document]:
    entries: list[Document] = json.loads(daemon.settings_path.read_text())["upstreams"]
    return entries


def names(daemon: Daemon) -> list[str]:
    return [entry["name"] for entry in stored(daemon)]


def row(page: Page, name: str) -> Locator:
    return page.locator(".entry").filter(has=page.get_by_role("button", name=name, exact=True))


def choose(page: Page, name: str, action: str) -> None:
    row(page, name).get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def shown(page: Page) -> list[str]:
    return page.locator(".entry .entry-name").all_inner_texts()


def test_hostile_long_and_foreign_names_are_shown_as_text(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    expect(page.locator(".entry")).to_have_count(4)
    assert shown(page) == ["Monday key", HOSTILE, CHINESE, LONG]
    assert page.locator("main img").count() == 0
    expect(page).to_have_title("Upstreams · Switchyard")


def test_an_upstream_is_added_and_its_key_is_never_shown_again(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, PANEL)
    page.get_by_role("button", name="Add upstream").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("vLLM")
    form.get_by_label("Base URL").fill("http://127.0.0.1:8000")
    form.get_by_label("Protocol", exact=True).select_option("chat")
    form.get_by_label("Where the key comes from").select_option("literal")
    form.get_by_label("Key", exact=True).fill("sk-very-secret")
    expect(form.get_by_text("Requests go to http://127.0.0.1:8000/v1/chat/completions")).to_be_visible()
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_text("“vLLM” was added.")).to_be_visible()
    assert stored(demo)[-1] == {
        "name": "vLLM",
        "base_url": "http://127.0.0.1:8000",
        "protocol": "chat",
        "key": "sk-very-secret",
    }
    row(page, "vLLM").get_by_role("button", name="vLLM", exact=True).click()
    expect(page.get_by_label("Where the key comes from")).to_have_value("keep")
    assert "sk-very-secret" not in page.content()
    assert "sk-very-secret" not in demo.get("/api/configs").text


@pytest.mark.parametrize(("chosen", "kept"), [("true", True), ("false", False)])
def test_an_upstream_is_called_local_or_not(daemon: Daemon, open_page: Open, chosen: str, kept: bool) -> None:
    page = open_page(daemon, PANEL)
    row(page, "Monday key").get_by_role("button", name="Monday key", exact=True).click()
    form = page.get_by_role("dialog")
    form.locator("[name=local]").evaluate(f"one => {{ one.value = '{chosen}' }}")
    form.locator("[data-path='budget.day_hard'] input").evaluate("one => { one.value = '5' }")
    form.get_by_label("Name", exact=True).fill("Monday key")
    expect(form.get_by_text("budget: it cannot apply, as its models are local")).to_have_count(int(kept))
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert stored(daemon)[0]["local"] is kept


def test_a_stored_key_is_replaced_by_another_one(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    row(page, "Monday key").get_by_role("button", name="Monday key", exact=True).click()
    form = page.get_by_role("dialog")
    form.get_by_label("Where the key comes from").select_option("literal")
    form.get_by_label("Key", exact=True).fill("sk-renewed")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert stored(daemon)[0]["key"] == "sk-renewed"


def test_an_entry_gets_several_keys_that_are_never_shown_again(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    choice = page.get_by_label("Where the key comes from")

    def keys() -> Locator:
        return page.get_by_role("dialog").locator("input[name=keys]")

    def edit() -> None:
        row(page, "Monday key").get_by_role("button", name="Monday key", exact=True).click()

    def saved() -> tuple[object, object]:
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        return stored(daemon)[0].get("key"), stored(daemon)[0].get("keys")

    edit()
    choice.select_option("several")
    expect(keys()).to_have_count(2)  # the stored one, and a free row
    keys().nth(1).fill("env:SECOND")
    page.get_by_role("button", name="Add a key").click()
    keys().nth(2).fill("sk-third")
    assert saved() == (None, ["sk-of-Monday key", "env:SECOND", "sk-third"])
    expect(row(page, "Monday key").get_by_text("3 keys")).to_be_visible()
    edit()
    expect(choice).to_have_value("several")
    expect(keys()).to_have_count(3)
    assert [one.input_value() for one in keys().all()] == ["", "env:SECOND", ""]
    keys().nth(2).fill("sk-third")
    keys().nth(0).fill("env:SECOND")
    wrong = page.get_by_role("dialog").locator("[data-path=keys] > .wrong")
    expect(wrong).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Remove").first.click()
    expect(wrong).to_be_hidden()
    assert saved() == (None, ["env:SECOND", "sk-third"])
    edit()
    choice.select_option("literal")
    page.get_by_role("dialog").locator("input[name=key]").fill("sk-one")
    assert saved() == ("sk-one", None)


def test_another_base_url_asks_for_the_stored_key_again(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL, locale="zh-CN")
    row(page, "Monday key").get_by_role("button", name="Monday key", exact=True).click()
    form = page.get_by_role("dialog")
    form.locator("[name=base_url]").fill("http://127.0.0.1:10")
    wrong = form.locator("[data-path=key] > .wrong")
    expect(wrong).to_have_text("请重新输入：已保存的值只会发往保存时的 Base URL。")
    form.get_by_role("button", name="保存").click()
    expect(form).to_be_visible()
    assert stored(daemon)[0]["base_url"] == "http://127.0.0.1:9"
    form.locator("select").filter(has=page.locator("option[value=keep]")).select_option("literal")
    form.locator("input[name=key]").fill("sk-for-the-new-one")
    expect(wrong).to_be_hidden()
    form.get_by_role("button", name="保存").click()
    expect(form).to_be_hidden()
    assert (stored(daemon)[0]["base_url"], stored(daemon)[0]["key"]) == (
        "http://127.0.0.1:10",
        "sk-for-the-new-one",
    )


def test_a_stored_key_is_moved_into_the_system_keychain(tmp_path: Path, open_page: Open) -> None:
    keychain = FakeKeychain(tmp_path)
    document = settings(
        upstream("relay", "http://127.0.0.1:9"), upstream("local", "http://127.0.0.1:9", key="")
    )
    with Daemon(tmp_path, document, keychain.environment) as daemon:
        page = open_page(daemon, PANEL)
        offer = page.get_by_role("button", name="Move to the system keychain")
        row(page, "local").get_by_role("button", name="Edit", exact=True).click()
        expect(page.get_by_label("Where the key comes from")).to_have_value("none")
        expect(offer).to_be_hidden()
        page.keyboard.press("Escape")
        row(page, "relay").get_by_role("button", name="Edit", exact=True).click()
        page.get_by_label("Note").fill("changed meanwhile")
        offer.click()
        expect(page.get_by_label("Where the key comes from")).to_have_value("keyring")
        expect(page.get_by_label("Where the key comes from")).to_be_focused()
        expect(page.get_by_label("Key", exact=True)).to_have_value("relay")
        expect(offer).to_be_hidden()
        assert keychain.keys == {"relay": "sk-of-relay"}
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(row(page, "relay").get_by_text("key from the keychain: relay")).to_be_visible()
        assert stored(daemon)[0]["key"] == "keyring:relay"
        assert stored(daemon)[0]["note"] == "changed meanwhile"


def test_without_a_keychain_moving_the_key_is_not_offered_and_a_refusal_is_reported(
    tmp_path: Path, open_page: Open
) -> None:
    for broken, offered in (("absent", 0), ("locked", 1)):
        folder = tmp_path / broken
        keychain = FakeKeychain(tmp_path, broken)
        with Daemon(
            folder, settings(upstream("relay", "http://127.0.0.1:9")), keychain.environment
        ) as daemon:
            page = open_page(daemon, PANEL)
            row(page, "relay").get_by_role("button", name="Edit", exact=True).click()
            expect(page.get_by_label("Where the key comes from")).to_have_value("keep")
            offer = page.get_by_role("button", name="Move to the system keychain")
            expect(offer).to_have_count(offered)
            if offered:
                offer.click()
                expect(
                    page.get_by_text("The key stays in the file: the system keychain refused relay")
                ).to_be_visible()
                expect(page.get_by_label("Where the key comes from")).to_have_value("keep")
            assert stored(daemon)[0]["key"] == "sk-of-relay"


def test_the_form_shows_the_time_limits_that_hold_where_none_is_filled_in(
    demo: Daemon, open_page: Open
) -> None:
    page = open_page(demo, PANEL)
    page.get_by_role("button", name="Add upstream").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("local")
    first_byte = form.get_by_label("First byte", exact=True)
    for address, seconds in (("https://h.example", "120"), ("http://localhost:11434", "600")):
        form.get_by_label("Base URL").fill(address)
        expect(first_byte).to_have_attribute("placeholder", seconds)


def test_a_click_before_the_settings_are_there_opens_the_form_once_they_are(
    demo: Daemon, open_page: Open
) -> None:
    page = open_page(demo, PANEL)
    late: list[Route] = []
    page.route("**/api/configs", lambda route: late.append(route))
    page.reload(wait_until="commit")
    page.get_by_role("button", name="Add upstream").click()
    sent(page, late)
    for route in late:
        route.continue_()
    page.unroute("**/api/configs")
    expect(page.get_by_role("dialog").get_by_label("Name", exact=True)).to_be_visible()


def test_mistakes_are_reported_beside_their_fields_while_typing(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    row(page, "Monday key").get_by_role("button", name="Edit", exact=True).click()
    form = page.get_by_role("dialog")
    form.get_by_label("Priority").fill("300")
    form.get_by_label("Hours").fill("8 till 9")
    wrong = form.locator(".field:has([name=priority]) > .wrong")
    expect(wrong).to_have_text("Expected a whole number from 1 to 100, found 300.")
    expect(form.locator(".field:has([name=hours]) > .wrong")).to_contain_text("08:00-23:30")
    expect(form.get_by_label("Priority")).to_have_attribute("aria-invalid", "true")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_label("Priority")).to_be_focused()
    form.get_by_label("Priority").fill("30")
    form.get_by_label("Hours").fill("08:00-09:00")
    expect(wrong).to_be_hidden()
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert {"priority": 30, "hours": "08:00-09:00", "key": "sk-of-Monday key"}.items() <= stored(daemon)[
        0
    ].items()


def test_a_late_check_does_not_report_what_has_been_corrected(daemon: Daemon, open_page: Open) -> None:
    checks = "**/api/upstreams/check"
    page = open_page(daemon, PANEL)
    with page.expect_response(checks):
        row(page, "Monday key").get_by_role("button", name="Edit", exact=True).click()
    form = page.get_by_role("dialog")
    late: list[Route] = []
    page.route(checks, lambda route: late.append(route), times=1)
    with page.expect_request(checks):
        form.get_by_label("Priority").fill("300")
    with page.expect_response(checks):
        form.get_by_label("Priority").fill("30")
    with page.expect_response(checks) as answer:
        sent(page, late).continue_()
    assert "found 300" in answer.value.text()
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
    expect(form.locator(".field:has([name=priority]) > .wrong")).to_be_hidden()


@pytest.mark.parametrize(
    ("locale", "sentences"),
    [("en", ["Enter a name.", "Enter a base URL."]), ("zh-CN", ["请输入名称。", "请输入 Base URL。"])],
)
def test_a_required_value_that_is_missing_is_named(
    daemon: Daemon, open_page: Open, locale: str, sentences: list[str]
) -> None:
    page = open_page(daemon, PANEL, locale=locale)
    page.locator(".panel-head button.primary").click()
    form = page.get_by_role("dialog")
    form.locator("button.primary").click()
    for name, sentence in zip(("name", "base_url"), sentences, strict=True):
        expect(form.locator(f"[data-path={name}] > .wrong")).to_have_text(sentence)


def test_mistakes_are_reported_in_chinese(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL, locale="zh-CN")
    row(page, "Monday key").get_by_role("button", name="编辑", exact=True).click()
    form = page.get_by_role("dialog")
    form.get_by_label("优先级").fill("300")
    form.get_by_label("时段").fill("8 till 9")
    form.get_by_label("名称", exact=True).fill(" ")
    expect(form.locator(".field:has([name=priority]) > .wrong")).to_have_text(
        "应为 1 到 100 的整数，实为 300。"
    )
    expect(form.locator(".field:has([name=hours]) > .wrong")).to_contain_text("应为 本地时段，如 08:00-23:30")
    expect(form.locator(".field:has([name=name]) > .wrong").first).to_contain_text("应为 单行的名称")


def test_unsaved_changes_are_guarded(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    row(page, "Monday key").get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Note").fill("something")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Unsaved changes")).to_be_visible()
    page.get_by_role("button", name="Cancel").last.click()
    expect(page.get_by_label("Note")).to_have_value("something")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "note" not in stored(daemon)[0]


def test_going_back_closes_the_form_but_not_over_unsaved_changes(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon)
    page.get_by_role("link", name="Upstreams").click()
    row(page, "Monday key").get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Note").fill("something")
    page.evaluate("history.back()")
    page.locator("dialog.small").get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Note")).to_have_value("something")
    expect(page).to_have_url(re.compile("#/upstreams$"))
    with page.expect_event("dialog") as asked:
        page.evaluate("setTimeout(() => location.reload())")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(page.get_by_label("Note")).to_have_value("something")
    page.get_by_label("Note").fill("")
    page.evaluate("location.hash = '#/file'")
    expect(page.get_by_role("heading", name="File", exact=True)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_stored_headers_stay_when_another_field_is_changed(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    row(page, CHINESE).get_by_role("button", name="Edit", exact=True).click()
    form = page.get_by_role("dialog")
    headers = form.locator("[data-path=headers]")
    expect(headers.get_by_placeholder("stored; type to replace")).to_be_visible()
    form.get_by_role("button", name="Add header").click()
    form.get_by_label("Header").last.fill("X-New")
    form.get_by_label("Value").last.fill("new-value")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert stored(daemon)[2]["headers"] == {"X-Secret": "hidden-value", "X-New": "new-value"}


def test_an_upstream_is_switched_off_and_on(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    row(page, HOSTILE).get_by_role("switch").click()
    expect(row(page, HOSTILE).get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert stored(daemon)[1]["enabled"] is False
    row(page, HOSTILE).get_by_role("switch").click()
    expect(row(page, HOSTILE).get_by_role("switch")).to_have_attribute("aria-checked", "true")
    assert stored(daemon)[1]["enabled"] is True


def test_a_copy_is_made_switched_off_with_its_key(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    choose(page, "Monday key", "Duplicate")
    expect(page.locator(".entry")).to_have_count(5)
    assert names(daemon)[:2] == ["Monday key", "Monday key (2)"]
    copy = stored(daemon)[1]
    assert (copy["enabled"], copy["key"]) == (False, "sk-of-Monday key")


def test_a_deleted_upstream_comes_back_whole_and_in_its_place(daemon: Daemon, open_page: Open) -> None:
    before = stored(daemon)
    page = open_page(daemon, PANEL)
    choose(page, HOSTILE, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".entry")).to_have_count(3)
    assert names(daemon) == ["Monday key", CHINESE, LONG]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".entry")).to_have_count(4)
    assert stored(daemon) == before


def test_the_order_is_changed_by_keyboard_and_the_focus_stays(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    grip = page.get_by_role("button", name="Reorder Monday key with the arrow keys")
    grip.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".entry-name").first).to_have_text(HOSTILE)
    assert names(daemon) == [HOSTILE, "Monday key", CHINESE, LONG]
    expect(grip).to_be_focused()
    expect(grip).not_to_have_attribute("aria-busy", "true")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".entry-name").first).to_have_text("Monday key")
    assert names(daemon)[0] == "Monday key"


def test_the_order_is_changed_by_dragging(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    grip = page.get_by_role("button", name="Reorder Monday key with the arrow keys")
    # what is above the rows comes later, and moves them
    expect(page.get_by_role("table", name="The coming week")).to_be_visible()
    grip.drag_to(row(page, CHINESE), target_position={"x": 200, "y": 60})
    expect(page.locator(".entry-name").nth(2)).to_have_text("Monday key")
    assert names(daemon) == [HOSTILE, CHINESE, "Monday key", LONG]


def test_a_stale_page_cannot_overwrite_a_file_edited_on_disk(
    daemon: Daemon, open_page: Open, document: Document
) -> None:
    page = open_page(daemon, PANEL)
    row(page, "Monday key").get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Note").fill("from the page")
    edited = json.loads(daemon.settings_path.read_text())
    edited["upstreams"][0]["note"] = "from the editor"
    daemon.change_settings(edited)
    # leaving the field starts another check, which must not take the message away
    with page.expect_response("**/api/upstreams/check"):
        page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_text("has been changed on disk")).to_be_visible()
    assert stored(daemon)[0]["note"] == "from the editor"


def test_a_file_edited_on_disk_is_shown_at_once(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    expect(page.locator(".entry")).to_have_count(4)
    daemon.change_settings(settings(upstream("brand new", "http://127.0.0.1:9")))
    expect(page.locator(".entry-name")).to_have_text(["brand new"])


def test_a_removed_upstream_cannot_be_changed_from_an_old_page(daemon: Daemon) -> None:
    revision = daemon.get("/api/configs").json["revision"]
    gone = daemon.post(
        "/api/upstreams/update", {"name": "gone", "changes": {"note": "x"}, "revision": revision}
    )
    assert (gone.status, gone.json["error"]["message"]) == (404, 'There is no upstream "gone" any more.')


def test_the_connection_test_shows_its_steps_and_offers_the_working_address(
    demo: Daemon, open_page: Open
) -> None:
    def only_under_api(request: Any) -> Any:
        return say("Hello there")(request) if request.path.startswith("/api/") else not_found(request)

    def not_found(request: Any) -> Any:
        return whole(404, b'{"error": "no such page"}')

    with ScriptedUpstream(only_under_api) as server:
        demo.change_settings(settings(upstream("relay", server.url)))
        page = open_page(demo, PANEL)
        row(page, "relay").get_by_role("button", name="Test", exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Test", exact=True).click()
        expect(
            dialog.get_by_text("It did not answer.").or_(dialog.get_by_text("It answered"))
        ).to_be_visible()
        expect(dialog.locator(".steps li").first).to_contain_text("DNS")
        expect(dialog.get_by_text("This URL answers:")).to_be_visible()
        dialog.get_by_role("button", name="Use this URL").click()
        expect(dialog).to_be_hidden()
        row(page, "relay").get_by_role("button", name="Test", exact=True).click()
        dialog.get_by_role("button", name="Test", exact=True).click()
        expect(dialog.get_by_text("It answered in")).to_be_visible()
        expect(dialog.get_by_text("Hello there").first).to_be_visible()
        assert stored(demo)[0]["base_url"] == f"{server.url}/api/v1/messages"


def test_a_refused_connection_is_reported_at_its_step(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    row(page, HOSTILE).get_by_role("button", name="Test", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Test", exact=True).click()
    expect(dialog.get_by_text("It did not answer.")).to_be_visible()
    assert dialog.locator(".steps li .dot.bad").count() == 1
    expect(dialog.locator(".steps li").last).to_contain_text("port 9")


def test_a_simulated_failure_moves_the_route_and_ends(demo: Daemon, open_page: Open) -> None:
    with ScriptedUpstream(say("one")) as one, ScriptedUpstream(say("two")) as two:
        demo.change_settings(settings(upstream("one", one.url), upstream("two", two.url)))
        page = open_page(demo, PANEL)
        choose(page, "one", "Simulate a failure…")
        page.get_by_role("dialog").get_by_role("button", name="Start").click()
        expect(row(page, "one").get_by_text("simulated failure until")).to_be_visible()
        answer = demo.post(
            "/v1/messages", {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        )
        assert answer.json["content"][0]["text"] == "two"
        choose(page, "one", "End simulation")
        expect(row(page, "one").get_by_text("simulated")).to_have_count(0)


@pytest.mark.parametrize("end", ["by hand", "by itself"])
def test_a_simulated_outage_of_all_upstreams_ends_and_leaves_nothing_behind(
    demo: Daemon, open_page: Open, end: str
) -> None:
    with ScriptedUpstream(say("one")) as one, ScriptedUpstream(say("two")) as two:
        demo.change_settings(settings(upstream("one", one.url), upstream("two", two.url)))
        page = open_page(demo, PANEL)
        page.get_by_role("button", name="Simulate an outage…").click()
        dialog = page.get_by_role("dialog", name="Simulate an outage")
        dialog.get_by_label("Duration").select_option("2 minutes")
        dialog.get_by_role("button", name="Start").click()
        expect(page.locator(".entry").get_by_text("simulated failure until")).to_have_count(2)
        assert ask(demo.url, "messages").status != 200
        if end == "by itself":
            demo.post("/api/simulate", {"upstream": None, "mode": "down", "minutes": 0.02})
        else:
            page.get_by_role("button", name="End simulation").click()
        expect(page.locator(".entry .warn")).to_have_count(0)
        expect(page.get_by_role("button", name="Simulate an outage…")).to_be_visible()


def test_a_click_counts_although_its_row_changes_before_the_release(two: Daemon, open_page: Open) -> None:
    page = open_page(two, PANEL)
    simulated = page.locator(".entry").get_by_text("simulated failure until")
    edit = row(page, "main").get_by_role("button", name="Edit", exact=True)
    edit.hover()
    page.mouse.down()
    two.post("/api/simulate", {"upstream": None, "mode": "down", "minutes": 2})
    expect(page.get_by_role("button", name="End simulation")).to_be_visible()
    expect(simulated).to_have_count(0)
    page.mouse.up()
    expect(page.get_by_role("dialog").get_by_label("Name", exact=True)).to_have_value("main")
    expect(simulated).to_have_count(2)
    page.keyboard.press("Escape")
    expect(edit).to_be_focused()
    page.keyboard.down("Space")
    two.post("/api/simulate", {"upstream": None, "mode": None, "minutes": 0})
    expect(page.get_by_role("button", name="Simulate an outage…")).to_be_visible()
    expect(simulated).to_have_count(2)
    page.keyboard.up("Space")
    expect(page.get_by_role("dialog").get_by_label("Name", exact=True)).to_have_value("main")
    expect(simulated).to_have_count(0)


def test_a_row_is_redrawn_although_the_release_of_a_press_on_it_was_lost(
    two: Daemon, open_page: Open
) -> None:
    page = open_page(two, PANEL)
    simulated = page.locator(".entry").get_by_text("simulated failure until")
    edit = row(page, "main").get_by_role("button", name="Edit", exact=True)
    # as when the window loses the focus before the release
    edit.dispatch_event("pointerdown", {"bubbles": True})
    two.post("/api/simulate", {"upstream": None, "mode": "down", "minutes": 2})
    expect(page.get_by_role("button", name="End simulation")).to_be_visible()
    expect(simulated).to_have_count(0)
    page.mouse.move(10, 10)
    expect(simulated).to_have_count(2)


def test_an_open_menu_stays_while_requests_change_its_row(daemon: Daemon, open_page: Open) -> None:
    daemon.change_settings(
        settings(
            upstream("broken", "http://127.0.0.1:9"),
            failover={"error_threshold": 1, "cooldown_start_seconds": 600},
        )
    )
    page = open_page(daemon, PANEL)
    row(page, "broken").get_by_role("button", name="More actions").click()
    item = page.get_by_role("menuitem", name="Duplicate")
    expect(item).to_be_visible()
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    assert daemon.post("/v1/messages", body).status >= 400
    overview = open_page(daemon)
    expect(overview.get_by_label("Cooling down").get_by_text("cooling down until")).to_be_visible()
    expect(item).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, "broken").get_by_text("cooling down until")).to_be_visible()
    expect(row(page, "broken").get_by_role("button", name="More actions")).to_be_focused()


@pytest.mark.parametrize("width", [360, 1400])
def test_the_menu_of_a_row_works_by_keyboard(daemon: Daemon, open_page: Open, width: int) -> None:
    page = open_page(daemon, PANEL, width)
    opener = row(page, LONG).get_by_role("button", name="More actions")
    expect(page.get_by_role("table", name="The coming week")).to_be_visible()
    opener.evaluate(
        "() => scrollTo(0, document.body.scrollHeight)"
    )  # only the first action has room below it
    opener.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    expect(page.get_by_role("menuitem").last).to_be_in_viewport()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem").last).to_be_focused()
    page.keyboard.down("Enter")  # Delete
    question = page.get_by_role("dialog").get_by_role("button", name="Delete")
    expect(question).to_be_focused()
    page.keyboard.down("Enter")  # held
    page.keyboard.up("Enter")
    expect(question).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(opener).to_be_focused()


def test_the_week_shows_who_serves_when(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    week = page.get_by_role("table", name="The coming week")
    expect(week.get_by_role("rowheader")).to_have_text(["Monday key", HOSTILE, CHINESE])
    monday = week.get_by_role("row").nth(1).locator(".span")
    expect(monday).to_have_count(1)
    expect(monday).to_have_attribute("title", "Mon 08:00 – 20:00 · serves first")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Daemon]:
    entries = upstream("main", "http://127.0.0.1:9"), upstream("spare", "http://127.0.0.1:9", role="backup")
    with Daemon(tmp_path, settings(*entries)) as running:
        yield running


def used(daemon: Daemon) -> dict[str, str]:
    return {client: use["upstream"] for client, use in daemon.get("/api/state").json["uses"].items()}


def test_one_click_uses_an_upstream_now_and_another_one_undoes_it(two: Daemon, open_page: Open) -> None:
    page = open_page(two, PANEL)
    row(page, "spare").get_by_role("button", name="Use now", exact=True).click()
    expect(row(page, "spare").get_by_text("used now", exact=True)).to_be_visible()
    assert used(two) == dict.fromkeys(("messages", "chat", "responses"), "spare")
    page.goto(f"{two.url}/#/overview")
    expect(page.get_by_text("All clients use “spare” now.")).to_be_visible()
    page.goto(f"{two.url}/{PANEL}")
    row(page, "spare").get_by_role("button", name="Undo “Use now”").click()
    expect(row(page, "spare").get_by_text("used now", exact=True)).to_have_count(0)
    assert used(two) == {}


def test_an_upstream_is_used_for_a_client_and_a_time(two: Daemon, open_page: Open) -> None:
    page = open_page(two, PANEL)
    choose(page, "spare", "Use now for…")
    form = page.get_by_role("dialog")
    form.get_by_label("Client").select_option("responses")
    form.get_by_label("How long").select_option("2 hours")
    form.get_by_role("button", name="Use now").click()
    expect(form).to_have_count(0)
    assert used(two) == {"responses": "spare"}
    assert two.get("/api/state").json["uses"]["responses"]["until"] is not None


def test_a_disabled_upstream_is_not_offered(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon, PANEL)
    expect(row(page, "Monday key").get_by_role("button", name="Use now", exact=True)).to_be_visible()
    expect(row(page, LONG).get_by_role("button", name="Use now", exact=True)).to_have_count(0)


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_an_upstream_that_answers_as_another_model_has_a_badge_with_the_evidence(
    demo: Daemon, open_page: Open, language: str
) -> None:
    badge, text = {
        "en-GB": ("other model", "2 of the last 2 answers name claude-opus-5-5."),
        "zh-CN": ("模型不同", "最近 2 个回答中有 2 个写明的模型是 claude-opus-5-5。"),
    }[language]
    with ScriptedUpstream(answer(Reply("Hi", model="claude-opus-5-5"))) as server:
        demo.change_settings(settings(upstream("swapping", server.url), upstream("idle", server.url)))
        for _ in range(2):
            ask(demo.url, "messages", "claude-opus-5-6")
        page = open_page(demo, PANEL, locale=language)
        report = row(page, "swapping").locator(".report")
        expect(report.get_by_text(badge, exact=True)).to_be_visible()
        expect(report.get_by_text(text)).to_be_hidden()
        report.locator("summary").click()
        expect(report.get_by_text(text)).to_be_visible()
        expect(report).to_contain_text(demo.journal()[0]["id"])
        expect(row(page, "idle").locator(".report")).to_have_count(0)

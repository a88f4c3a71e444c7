"""The panels of models, failover, clients and file: what is changed there is what the file and the clients get."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.bed.daemon import Daemon, Document
from tests.browser.conftest import HOSTILE, Open


def stored(daemon: Daemon) -> Document:
    document: Document = json.loads(daemon.settings_path.read_text())
    return document


def save(page: Page) -> None:
    page.locator(".save-bar").get_by_role("button", name="Save").click()
    expect(page.locator(".save-bar")).to_be_hidden()
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_model_rules_are_added_moved_and_saved(demo: Daemon, open_page: Open) -> None:
    before = stored(demo)["model_rules"]
    page = open_page(demo, "/#/models")
    page.get_by_role("button", name="Add rule").click()
    last = page.locator(".rule-row").last
    last.get_by_label("Requested model").fill("claude-3-*")
    expect(last.locator(".wrong")).not_to_be_empty()
    last.get_by_label("Upstream model").fill("qwen3")
    last.get_by_label("Clients").select_option("messages")
    expect(last.locator(".wrong")).to_be_hidden()
    for _ in before:
        last.get_by_role("button", name="Move up").click()
        last = page.locator(".rule-row").filter(has=page.locator("button:focus"))
    save(page)
    added = {"from": "claude-3-*", "to": "qwen3", "clients": ["messages"]}
    assert stored(demo)["model_rules"] == [added, *before]


def test_prices_are_added_and_removed(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/models")
    page.get_by_role("button", name="Add price").click()
    page.get_by_label("Model or pattern").fill("qwen3-*")
    page.get_by_label("Input", exact=True).fill("0.5")
    page.get_by_label("Output", exact=True).fill("2")
    save(page)
    assert stored(demo)["prices"] == {"qwen3-*": {"input": 0.5, "output": 2}}
    page.locator("tbody").get_by_role("button", name="Remove this row").click()
    page.locator(".save-bar").get_by_role("button", name="Save").click()
    expect(page.locator(".save-bar")).to_be_hidden()
    assert stored(demo)["prices"] == {}


def test_a_model_is_followed_to_its_upstream(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/models")
    page.get_by_label("Where does a model go?").get_by_label("Requested model").fill("claude-x")
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.get_by_text("demo → claude-x")).to_have_count(3)


def test_failover_settings_are_checked_and_saved_one_by_one(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/failover")
    page.get_by_label("Consecutive failures before a cooldown").fill("0")
    expect(page.get_by_text("Expected a whole number from 1 to 1000, found 0.")).to_be_visible()
    page.get_by_label("Consecutive failures before a cooldown").fill("5")
    page.get_by_label("First-byte timeout (seconds)").fill("240")
    page.get_by_label("idle timeout", exact=True).select_option("return")
    page.get_by_role("button", name="Add status").click()
    page.get_by_label("Status", exact=True).fill("429")
    page.locator(".pair-row").filter(has=page.get_by_label("Status", exact=True)).get_by_role(
        "combobox"
    ).select_option("retry")
    save(page)
    document = stored(demo)
    assert document["failover"] == {
        "error_threshold": 5,
        "on_status": {"429": "retry"},
        "on_error": {"idle_timeout": "return"},
    }
    assert document["timeouts"] == {"first_byte": 240}
    page.get_by_label("First-byte timeout (seconds)").fill("")
    page.locator(".save-bar").get_by_role("button", name="Save").click()
    expect(page.locator(".save-bar")).to_be_hidden()
    assert stored(demo)["timeouts"] == {}


def test_rules_for_the_text_of_an_error_are_added_ordered_and_saved(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/failover")
    card = page.get_by_label("By error text", exact=True)
    card.get_by_role("button", name="Add text").click()
    first = card.locator(".text-row").first
    expect(first.locator(".wrong")).to_have_text("Enter the error text.")
    first.get_by_label("Error text").fill("负载过高")
    card.get_by_role("button", name="Add text").click()
    last = card.locator(".text-row").last
    last.get_by_label("Error text").fill(HOSTILE)
    last.get_by_label("Action for this text").select_option("return")
    last.get_by_role("button", name="Move up").click()
    page.get_by_label("First cooldown (seconds)").fill("5")
    page.get_by_label("Hold a request while all upstreams fail (seconds)").fill("0")
    save(page)
    assert stored(demo)["failover"] == {
        "cooldown_start_seconds": 5,
        "hold_seconds": 0,
        "on_text": [
            {"match": HOSTILE, "action": "return"},
            {"match": "负载过高", "action": "switch"},
        ],
    }
    card.locator(".text-row").first.get_by_role("button", name="Remove").click()
    page.locator(".save-bar").get_by_role("button", name="Save").click()
    expect(page.locator(".save-bar")).to_be_hidden()
    assert stored(demo)["failover"]["on_text"] == [{"match": "负载过高", "action": "switch"}]


def test_leaving_a_panel_with_unsaved_changes_asks_first(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/failover")
    page.get_by_label("First-byte timeout (seconds)").fill("240")
    expect(page.locator(".save-bar")).to_be_visible()
    page.get_by_role("link", name="File").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("First-byte timeout (seconds)")).to_have_value("240")
    page.get_by_role("link", name="File").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("heading", name="File", exact=True)).to_be_visible()


def test_a_draft_survives_an_edit_on_disk_and_does_not_overwrite_it(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/failover")
    page.get_by_label("First-byte timeout (seconds)").fill("240")
    expect(page.locator(".save-bar")).to_be_visible()
    demo.change_settings(stored(demo) | {"timeouts": {"idle": 99}})
    expect(page.get_by_text("The file has changed in the meantime.")).to_be_visible()
    expect(page.get_by_label("First-byte timeout (seconds)")).to_have_value("240")
    # leaving the field starts another check, which must not take the message away
    with page.expect_response("**/api/settings/check"):
        page.locator(".save-bar").get_by_role("button", name="Save").click()
    expect(page.get_by_text("has been changed on disk")).to_be_visible()
    assert stored(demo)["timeouts"] == {"idle": 99}
    page.get_by_role("button", name="Load the new file").click()
    expect(page.get_by_label("Idle timeout (seconds)")).to_have_value("99")


def test_a_client_key_is_made_reported_once_and_removed(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/clients")
    page.get_by_role("button", name="Add key").click()
    page.get_by_label("Name of the client").fill(HOSTILE)
    page.get_by_role("button", name="Create key").click()
    key = page.get_by_role("dialog").locator("code").inner_text()
    assert stored(demo)["client_keys"] == {key: HOSTILE}
    page.get_by_role("dialog").locator("footer").get_by_role("button", name="Close").click()
    expect(page.get_by_label("Keys for clients").get_by_text(HOSTILE)).to_be_visible()
    assert key not in page.content()
    assert key not in demo.get("/api/configs").text
    page.get_by_label("Keys for clients").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Any key is accepted from this machine.")).to_be_visible()
    assert stored(demo)["client_keys"] == {}


def test_claude_code_is_set_up_after_a_look_at_the_difference_and_taken_back(
    demo: Daemon, open_page: Open
) -> None:
    path = demo.home / ".claude" / "settings.json"
    path.parent.mkdir(parents=True)
    original = '{\n  "model": "opus"\n}\n'
    path.write_text(original)
    page = open_page(demo, "/#/clients")
    card = page.locator("[data-client=claude]")
    card.get_by_role("button", name="Set up…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".diff .added").filter(has_text="ANTHROPIC_BASE_URL")).to_have_count(1)
    assert path.read_text() == original
    path.write_text(original.replace("opus", "sonnet"))
    dialog.get_by_role("button", name="Write").click()
    expect(page.get_by_text("look at the preview again")).to_be_visible()
    path.write_text(original)
    dialog.get_by_role("button", name="Write").click()
    expect(card.get_by_text("points here")).to_be_visible()
    written: Any = json.loads(path.read_text())
    assert written["model"] == "opus"
    assert written["env"]["ANTHROPIC_BASE_URL"].endswith(f":{demo.port}/api")
    card.get_by_role("button", name="Undo…").click()
    dialog.get_by_role("button", name="Undo…").click()
    expect(card.get_by_text("points here")).to_have_count(0)
    assert path.read_text() == original


def test_an_option_of_a_set_up_is_taken_back_alone(demo: Daemon, open_page: Open) -> None:
    path = demo.home / ".claude" / "settings.json"
    page = open_page(demo, "/#/clients")
    card = page.locator("[data-client=claude]")

    def write_with(name: str, chosen: bool) -> Any:
        card.get_by_label(name).set_checked(chosen)
        card.get_by_role("button", name=re.compile("Set up|Update")).click()
        page.get_by_role("dialog").get_by_role("button", name="Write").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(card.get_by_text("points here")).to_be_visible()
        expect(card.get_by_label(name)).to_be_checked(checked=chosen)
        return json.loads(path.read_text())["env"]

    before = write_with("CLAUDE_CODE_ATTRIBUTION_HEADER", False)
    assert write_with("API_TIMEOUT_MS", True) == before | {"API_TIMEOUT_MS": "3000000"}
    assert write_with("API_TIMEOUT_MS", False) == before


def test_an_unreadable_client_file_is_reported_and_not_touched(demo: Daemon, open_page: Open) -> None:
    path = demo.home / ".codex" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("model = [broken\n")
    page = open_page(demo, "/#/clients")
    card = page.locator("[data-client=codex]")
    expect(card.get_by_text("is left unchanged")).to_be_visible()
    expect(card.get_by_role("button", name="Set up…")).to_be_disabled()


def test_an_earlier_version_is_compared_and_restored(demo: Daemon, open_page: Open) -> None:
    before = stored(demo)
    changed = json.loads(json.dumps(before))
    changed["upstreams"][0] |= {"note": "changed", "key": "sk-never-shown"}
    demo.change_settings(changed)
    page = open_page(demo, "/#/file")
    page.get_by_role("button", name="Compare").click()
    diff = page.locator(".diff")
    expect(diff.locator(".added").filter(has_text='"note": "changed"')).to_have_count(1)
    expect(diff.locator(".added").filter(has_text='"key": "(not shown')).to_have_count(1)
    assert "sk-never-shown" not in page.content()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    page.get_by_role("dialog").last.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("was restored.")).to_be_visible()
    assert stored(demo) == before


@pytest.mark.parametrize("back", [0, 1], ids=["the one in use", "the one before"])
def test_a_faulty_file_is_replaced_by_an_earlier_version(demo: Daemon, open_page: Open, back: int) -> None:
    before = stored(demo)
    changed = before | {"timeouts": {"idle": 99}}
    demo.change_settings(changed)
    demo.settings_path.write_text("{broken")
    page = open_page(demo, "/#/file")
    expect(page.get_by_text("1 error")).to_be_visible()
    restore = page.get_by_role("button", name="Restore")
    expect(restore).to_have_count(2)
    restore.nth(back).click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(page.get_by_text("valid", exact=True)).to_be_visible()
    assert stored(demo) == (changed, before)[back]


def test_an_open_page_offers_the_version_that_is_kept_when_the_file_breaks(
    demo: Daemon, open_page: Open
) -> None:
    page = open_page(demo, "/#/file")
    expect(page.get_by_text("No earlier versions yet.")).to_be_visible()
    demo.settings_path.write_text("{broken")
    expect(page.get_by_text("1 error")).to_be_visible()
    expect(page.get_by_role("button", name="Restore")).to_have_count(1)


def test_accounts_are_imported_after_a_preview(demo: Daemon, open_page: Open) -> None:
    account = {
        "name": "local",
        "apiUrl": "http://127.0.0.1:8000/v1",
        "apiKey": "sk-imported",
        "supportedModels": ["qwen3"],
        "apiFormat": "openai",
    }
    page = open_page(demo, "/#/file")
    page.get_by_role("button", name="Import…").click()
    page.get_by_label("Text to import").fill(json.dumps([account]))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("1 upstream would be added.")).to_be_visible()
    expect(page.get_by_text("accounts[0] → local · Chat · http://127.0.0.1:8000/v1")).to_be_visible()
    assert len(stored(demo)["upstreams"]) == 1
    page.get_by_role("dialog").get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("1 upstream was added.")).to_be_visible()
    assert stored(demo)["upstreams"][1]["name"] == "local"
    page.get_by_role("button", name="Import…").click()
    page.get_by_label("Text to import").fill('{"something": "else"}')
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("The file is none of these")).to_be_visible()


def test_the_export_has_keys_only_when_asked(demo: Daemon, open_page: Open, tmp_path: Path) -> None:
    document = stored(demo)
    document["upstreams"][0]["key"] = "sk-secret"
    demo.change_settings(document)
    page = open_page(demo, "/#/file")
    for with_keys in (False, True):
        page.get_by_role("button", name="Export").click()
        if with_keys:
            page.get_by_label("Include keys and other secrets").check()
        with page.expect_download() as download:
            page.get_by_role("dialog").get_by_role("button", name="Export").click()
        path = tmp_path / "export.json"
        download.value.save_as(path)
        assert ("sk-secret" in path.read_text()) is with_keys

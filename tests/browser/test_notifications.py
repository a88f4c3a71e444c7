"""Notifications on the page "Failover": the address is entered, tested, and not shown again."""

import json

from playwright.sync_api import expect

from tests.bed.daemon import Daemon, settings
from tests.bed.upstream import ScriptedUpstream, whole
from tests.browser.conftest import Open


def test_an_address_is_saved_tested_and_shown_without_its_path(demo: Daemon, open_page: Open) -> None:
    with ScriptedUpstream(lambda request: whole(200, b"ok"), lambda request: whole(404, b"")) as hook:
        page = open_page(demo, "/#/failover")
        card = page.get_by_role("region", name="Notifications")
        card.get_by_label("Send to this address").fill(f"{hook.url}/secret-topic")
        card.get_by_label("cooldowns").uncheck()
        page.get_by_role("button", name="Save").click()
        expect(card.get_by_label("Send to this address")).to_have_value(f"{hook.url}/***")
        stored = json.loads(demo.settings_path.read_text())["notify"]
        assert stored["url"] == f"{hook.url}/secret-topic"
        assert stored["on"] == ["switch", "held", "recovered", "budget", "quota"]
        card.get_by_role("button", name="Send a test").click()
        expect(card.get_by_role("status")).to_have_text("Sent.")
        card.get_by_role("button", name="Send a test").click()
        expect(card.get_by_role("status")).to_have_text("127.0.0.1 answered 404")
        # another change keeps the address
        card.get_by_label("cooldowns").check()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("button", name="Save")).to_be_hidden()
    assert json.loads(demo.settings_path.read_text())["notify"]["url"] == f"{hook.url}/secret-topic"
    assert [request.path for request in hook.requests] == ["/secret-topic", "/secret-topic"]
    overview = open_page(demo)
    expect(overview.get_by_text("The last notification was not delivered")).to_be_visible()


def test_a_wrong_address_is_reported_at_its_field(demo: Daemon, open_page: Open) -> None:
    demo.change_settings(settings())
    page = open_page(demo, "/#/failover", locale="zh-CN")
    card = page.get_by_role("region", name="通知")
    card.get_by_label("发送到此地址").fill("ftp://x")
    expect(card).to_contain_text("http:// 或 https:// 地址")

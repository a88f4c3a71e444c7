"""Quotas and balances on the pages, and the fields of the editor that belong to them."""

import json
import os
import re
import time
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.fake_clock import FakeClock
from tests.bed.upstream import ScriptedUpstream, say
from tests.browser.conftest import Open


def reporting(used: float) -> dict[str, str]:
    return {
        "anthropic-ratelimit-unified-5h-reset": str(int(time.time()) + 4 * 3600),
        "anthropic-ratelimit-unified-5h-utilization": str(used),
    }


def test_quotas_are_shown_in_the_row_and_on_the_overview_and_change_live(
    demo: Daemon, open_page: Open
) -> None:
    with ScriptedUpstream(say("a", headers=reporting(0.5)), say("b", headers=reporting(0.914))) as server:
        demo.change_settings(settings(upstream("plan", server.url)))
        page, overview = (open_page(demo, path) for path in ("/#/upstreams", "/"))
        ask(demo.url, "messages")
        for shown in (page.locator(".entry"), overview.get_by_role("region", name="Quotas and balances")):
            expect(shown.locator(".quotas")).to_have_text(re.compile(r"5h: 50% used\s*resets \d\d:\d\d"))
        ask(demo.url, "messages")
        expect(page.locator(".quotas")).to_contain_text("5h: 91% used")
        chinese = open_page(demo, "/#/upstreams", locale="zh-CN")
        expect(chinese.locator(".quotas")).to_contain_text("5h：已用 91%")


def test_the_forecast_is_shown_in_the_row_on_the_overview_and_in_the_status_line(
    tmp_path: Path, open_page: Open
) -> None:
    clock = FakeClock(tmp_path / "clock", os.environ["TZ"])
    answers = say("a", headers=reporting(0.5)), say("b", headers=reporting(0.7))
    with ScriptedUpstream(*answers) as server:
        plan = settings(upstream("plan", server.url))
        with Daemon(tmp_path, plan, clock.environment) as daemon:
            page, overview = (open_page(daemon, path) for path in ("/#/upstreams", "/"))
            ask(daemon.url, "messages")
            expect(page.locator(".quotas")).to_contain_text("5h: 50% used")
            assert "full at" not in daemon.get("/statusline").text
            clock.sleep(1200)
            # a fifth in 20 minutes: the rest lasts for half an hour, and the window ends later
            ask(daemon.url, "messages")
            (quota,) = daemon.get("/api/state").json["upstreams"][0]["quotas"]
            assert quota["full_at"] == pytest.approx(time.time() + 1200 + 1800, abs=60)
            # the clock is read to the second
            minutes = (datetime.fromtimestamp(quota["full_at"] + second) for second in (-1, 0, 1))
            moment = f"({'|'.join(sorted({f'{minute:%H:%M}' for minute in minutes}))})"
            for shown in (page.locator(".entry"), overview.get_by_role("region", name="Quotas and balances")):
                text = re.compile(f"at this pace used up by .*{moment}")
                expect(shown.locator(".quotas .warn")).to_have_text(text)
            assert re.match(rf"plan, 5h 70%, full at {moment} \| ", daemon.get("/statusline").text)


def test_the_editor_sets_when_new_conversations_leave(demo: Daemon, open_page: Open) -> None:
    demo.change_settings(settings(upstream("plan", "http://127.0.0.1:9")))
    page = open_page(demo, "/#/upstreams?edit=plan")
    form = page.get_by_role("dialog")
    form.get_by_text("Clients, limits and cost").click()
    form.get_by_label("Leave at % of the quota").fill("85")
    form.get_by_label("Ask for the balance").select_option("true")
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    (entry,) = json.loads(demo.settings_path.read_text())["upstreams"]
    assert (entry["leave_at_percent"], entry["balance"]) == (85, True)


def test_a_balance_is_shown_once_the_entry_asks_for_it(demo: Daemon, open_page: Open) -> None:
    with ScriptedUpstream() as server:
        server.pages = {"/key/info": b'{"info": {"spend": 1.5, "max_budget": 10}}'}
        demo.change_settings(settings(upstream("gateway", server.url, balance=True)))
        page, overview = open_page(demo, "/#/upstreams"), open_page(demo)
        for shown in (page.locator(".entry"), overview.get_by_role("region", name="Quotas and balances")):
            expect(shown.locator(".quotas")).to_have_text(
                re.compile(r"Balance\s*8\.50 USD\s*as of \d\d:\d\d")
            )


def test_the_balance_of_a_vendor_and_one_that_cannot_be_read_are_shown(demo: Daemon, open_page: Open) -> None:
    vendor = "http://api.deepseek.com"
    balance = {"balance_infos": [{"currency": "CNY", "total_balance": "110.00"}]}
    with ScriptedUpstream() as proxy:
        # without TLS, a proxy gets the request itself
        proxy.pages = {f"{vendor}/user/balance": json.dumps(balance).encode()}
        entries = (
            upstream("deepseek", f"{vendor}/anthropic", balance=True, proxy=proxy.url),
            upstream("relay", "http://relay.invalid", balance=True, proxy=proxy.url),
        )
        demo.change_settings(settings(*entries))
        page = open_page(demo, "/#/upstreams", locale="zh-CN")
        rows = page.locator(".entry")
        expect(rows.nth(0).locator(".quotas")).to_contain_text("110.00 CNY")
        expect(rows.nth(1).locator(".quotas .warn")).to_have_text("此地址没有已知的余额端点")
    assert {one.header("authorization") for one in proxy.probes} == {
        "Bearer sk-of-deepseek",
        "Bearer sk-of-relay",
    }

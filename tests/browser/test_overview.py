"""The overview: the route of each client, live; errors of the file, cooldowns, a daemon that is restarted."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, Route, expect

from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, say
from tests.browser.conftest import CHINESE, HOSTILE, Open


def lane(page: Page, client: str) -> Locator:
    return page.locator(f".lane[data-client={client}]")


def ask(daemon: Daemon, model: str = "claude-x") -> int:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    return daemon.post("/v1/messages", body).status


def test_it_shows_who_answers_each_client_and_why_not_the_others(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon)
    messages = lane(page, "messages")
    expect(messages.locator(".stop.first")).to_contain_text(re.compile(r"Monday key|<img"))
    expect(messages.locator(".skips")).to_contain_text("disabled")
    expect(messages.get_by_text(f"{daemon.port}/api")).to_be_visible()
    chat = lane(page, "chat")
    expect(chat.locator(".skips li").filter(has_text=HOSTILE)).to_contain_text("not served")
    expect(chat.locator(".stop").filter(has_text=CHINESE)).to_be_visible()


def test_a_first_start_leads_to_the_first_upstream(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo)
    expect(page.get_by_text("Only the built-in demo upstream answers so far.")).to_be_visible()
    expect(page.get_by_role("link", name="Set up a client")).to_have_attribute("href", "#/clients")
    demo.change_settings(settings(upstream("mine", "http://127.0.0.1:9")))
    expect(page.get_by_text("Only the built-in demo upstream answers so far.")).to_have_count(0)
    demo.change_settings(settings())
    page.locator(".lane").first.get_by_role("link", name="Add upstream").click()
    expect(page.get_by_role("heading", name="Upstreams")).to_be_visible()


def test_a_hidden_page_lets_go_of_its_connection_and_catches_up(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    loads = (
        "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/api/requests')).length"
    )
    wait_until(lambda: page.evaluate(loads) >= 2, "the end of both loads: at the start, and once connected")
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    assert ask(demo, "while-hidden") == 200
    other = open_page(demo)
    expect(other.get_by_role("link", name="while-hidden")).to_be_visible()
    expect(page.get_by_role("link", name="while-hidden")).to_have_count(0)
    page.evaluate(hide, False)
    expect(page.get_by_role("link", name="while-hidden")).to_be_visible()


def test_a_spent_budget_is_reported_as_a_notice(demo: Daemon, open_page: Open) -> None:
    with ScriptedUpstream(say("fine")) as server:
        entry = upstream("paid", server.url, budget={"day_soft": 0.000001})
        demo.change_settings(settings(entry, prices={"*": {"input": 1000, "output": 1000}}))
        page = open_page(demo)
        assert ask(demo) == 200
        expect(page.locator(".banner").get_by_text('Budget of upstream "paid"')).to_be_visible()
        expect(page.locator(".bad-line")).to_have_count(0)


def test_requests_and_numbers_arrive_live(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo)
    expect(page.get_by_text("No requests yet.")).to_be_visible()
    assert ask(demo) == 200
    expect(page.get_by_role("link", name="claude-x")).to_be_visible()
    requests = page.locator(".numbers div").filter(has=page.get_by_text("Requests", exact=True))
    expect(requests.locator("dd")).to_contain_text("1")
    expect(lane(page, "messages").get_by_text("requested model: claude-x")).to_be_visible()


def test_an_upstream_that_is_cooling_down_is_shown_with_its_reason_and_can_be_cleared(
    demo: Daemon, open_page: Open
) -> None:
    with ScriptedUpstream(say("fine")) as server:
        demo.change_settings(
            settings(
                upstream("broken", "http://127.0.0.1:9"),
                upstream("fine", server.url),
                failover={"error_threshold": 1, "cooldown_start_seconds": 600},
            )
        )
        page = open_page(demo)
        expect(lane(page, "messages").locator(".stop.first")).to_have_text(re.compile("broken"))
        assert ask(demo) == 200
        expect(lane(page, "messages").locator(".stop.first")).to_have_text(re.compile("fine"))
        expect(lane(page, "messages").locator(".skips")).to_contain_text("cooling down until")
        page.get_by_role("button", name="Clear cooldown").click()
        expect(lane(page, "messages").locator(".stop.first")).to_have_text(re.compile("broken"))


def test_errors_of_the_file_are_shown_and_go_away(daemon: Daemon, open_page: Open) -> None:
    good = daemon.settings_path.read_text()
    page = open_page(daemon)
    expect(page.locator(".lane")).to_have_count(3)
    daemon.settings_path.write_text(good.replace('"08:00-20:00"', '"late"'))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("$.upstreams[0].hours")
    expect(alert).to_contain_text("08:00-23:30")
    daemon.settings_path.write_text('{"upstreams": [')
    expect(alert).to_contain_text("line 1, column")
    daemon.settings_path.write_text(f"// mine\n{good}")
    expect(alert).to_contain_text("line 1, column 1): Expected JSON without comments, found a // comment")
    page.get_by_role("link", name="File", exact=True).click()
    expect(page.get_by_text("found a // comment; delete it")).to_be_visible()
    page.get_by_role("link", name="Overview", exact=True).click()
    daemon.settings_path.write_text(good)
    expect(alert).to_have_count(0)


def test_a_restarted_daemon_is_noticed_and_followed_again(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo)
    assert ask(demo, "before") == 200
    expect(page.get_by_role("link", name="before")).to_be_visible()
    demo.stop()
    expect(page.get_by_text("not connected")).to_be_visible()
    expect(lane(page, "messages")).to_be_visible()
    demo.start()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    assert ask(demo, "after") == 200
    expect(page.get_by_role("link", name="after")).to_be_visible()
    expect(page.get_by_role("link", name="before")).to_have_count(0)


def test_a_route_is_explained_without_asking_anybody(daemon: Daemon, open_page: Open) -> None:
    page = open_page(daemon)
    page.get_by_role("button", name="Explain a route").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Requested model").fill("claude-opus")
    dialog.get_by_label("At", exact=True).last.fill("tue 09:00")
    dialog.get_by_role("button", name="Explain", exact=True).click()
    expect(dialog.locator(".skips li").filter(has_text="Monday key")).to_contain_text("not today")
    expect(dialog.locator(".stop.first")).to_contain_text("qwen3-32b")
    dialog.get_by_label("At", exact=True).last.fill("some day")
    dialog.get_by_role("button", name="Explain", exact=True).click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert daemon.get("/api/requests").json["requests"] == []


def test_a_click_while_the_first_panel_loads_is_not_lost(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo)
    expect(lane(page, "messages")).to_be_visible()
    waiting: list[Route] = []
    page.route("**/panels/overview.js", lambda route: waiting.append(route))
    page.reload(wait_until="commit")
    page.get_by_role("link", name="Upstreams").click()
    expect(page.get_by_role("button", name="Add upstream").first).to_be_visible()
    for route in waiting:
        route.continue_()
    expect(page.get_by_role("heading", name="Upstreams", exact=True)).to_be_visible()


def test_a_click_in_the_route_of_a_client_uses_that_upstream_for_it(tmp_path: Path, open_page: Open) -> None:
    entries = upstream("main", "http://127.0.0.1:9"), upstream("spare", "http://127.0.0.1:9", role="backup")
    with Daemon(tmp_path, settings(*entries)) as daemon:
        page = open_page(daemon)
        messages = lane(page, "messages")
        expect(messages.locator(".stop.first")).to_contain_text("main")
        messages.get_by_role("button", name="Use now").click()
        expect(messages.locator(".stop.first")).to_contain_text("spare")
        expect(messages.locator(".stop.first")).to_contain_text("used now")
        expect(lane(page, "chat").locator(".stop.first")).to_contain_text("main")
        banner = page.locator(".banner").filter(has_text="uses “spare” now.")
        expect(banner).to_have_count(1)
        banner.get_by_role("button", name="Undo").click()
        expect(messages.locator(".stop.first")).to_contain_text("main")
        expect(banner).to_have_count(0)


def test_a_click_counts_although_its_route_changes_before_the_release(
    tmp_path: Path, open_page: Open
) -> None:
    with ScriptedUpstream(say("fine")) as server:
        entries = upstream("main", server.url), upstream("spare", server.url, role="backup")
        with Daemon(tmp_path, settings(*entries)) as daemon:
            assert ask(daemon, "claude-x") == 200
            page = open_page(daemon)
            messages = lane(page, "messages")
            expect(page.get_by_role("link", name="claude-x")).to_be_visible()
            messages.get_by_role("button", name="Use now").hover()
            page.mouse.down()
            assert ask(daemon, "claude-y") == 200
            requests = page.locator(".numbers div").filter(has=page.get_by_text("Requests", exact=True))
            expect(requests.locator("dd")).to_contain_text("2")
            expect(messages).to_contain_text("requested model: claude-x")
            page.mouse.up()
            expect(messages.locator(".stop.first")).to_contain_text("spare")
            expect(messages).to_contain_text("requested model: claude-y")


def test_what_one_click_has_set_for_all_clients_is_undone_by_one_click(
    tmp_path: Path, open_page: Open
) -> None:
    entries = upstream("main", "http://127.0.0.1:9"), upstream("spare", "http://127.0.0.1:9", role="backup")
    with Daemon(tmp_path, settings(*entries)) as daemon:
        daemon.post("/api/use", {"upstream": "spare"})
        page = open_page(daemon)
        banner = page.locator(".banner.accent-line")
        expect(banner.get_by_role("button")).to_have_count(1)
        expect(banner).to_contain_text("All clients use “spare” now.")
        daemon.post("/api/use", {"upstream": "main", "client": "chat", "seconds": 7200})
        expect(banner).to_contain_text("Claude Code · Messages, Codex · Responses use “spare” now.")
        expect(banner).to_contain_text("Chat uses “main” now, until")
        expect(banner.get_by_role("button")).to_have_count(2)
        banner.get_by_role("button", name="Undo").first.click()
        expect(banner.get_by_role("button")).to_have_count(1)
        banner.get_by_role("button", name="Undo").click()
        expect(banner).to_have_count(0)
        assert daemon.get("/api/state").json["uses"] == {}


def test_an_explained_route_names_the_rule_that_decides(tmp_path: Path, open_page: Open) -> None:
    entries = upstream("main", "http://127.0.0.1:9"), upstream("local", "http://127.0.0.1:9", role="backup")
    rules = [
        {"name": "agents", "when": {"client": "claude-code", "subagent": True}, "upstreams": ["local"]},
        {"when": {"tokens_over": 60000, "project": "~/company/*"}, "upstreams": ["local"], "only": True},
        {"when": {"client": "codex"}, "upstreams": ["local"]},
    ]
    with Daemon(tmp_path, settings(*entries, routes=rules)) as daemon:
        page = open_page(daemon)
        # the routes are those of Claude Code and Codex, after which they are named
        expect(lane(page, "responses").locator(".stop.first")).to_contain_text("local")
        expect(lane(page, "responses")).to_contain_text("Rule that decides: Rule 3")
        for others in ("messages", "chat"):
            expect(lane(page, others).locator(".stop.first")).to_contain_text("main")
            expect(lane(page, others)).not_to_contain_text("Rule that decides")
        assert daemon.get("/statusline?client=responses").text.startswith("local")
        assert "1. local (backup, rule 3)" in daemon.output
        page.get_by_role("button", name="Explain a route").click()
        dialog = page.get_by_role("dialog")
        explain = dialog.get_by_role("button", name="Explain", exact=True)
        explain.click()
        expect(dialog.locator(".stop.first")).to_contain_text("main")
        expect(dialog.get_by_text("Rule that decides")).to_have_count(0)
        dialog.get_by_role("combobox", name="Kind of request").select_option("sub-agents")
        explain.click()
        expect(dialog.get_by_text('Rule that decides: "agents"')).to_be_visible()
        expect(dialog.locator(".stop.first")).to_contain_text("local")
        dialog.get_by_role("combobox", name="Kind of request").select_option("turn of a conversation")
        dialog.get_by_role("spinbutton", name="Tokens of the prompt").fill("70000")
        dialog.get_by_role("textbox", name="Project").fill("/home/me/company/shop")
        explain.click()
        expect(dialog.get_by_text("Rule that decides: Rule 2")).to_be_visible()
        expect(dialog.locator(".skips li").filter(has_text="main")).to_contain_text("rule 2")

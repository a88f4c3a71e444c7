"""Failures, verdicts and reasons in the language of the page; what an upstream has said stays as it said it."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say, status
from tests.browser.conftest import Open

MODULE = "/js/i18n.js"


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("cannot connect (connection refused)", "无法连接（连接被拒绝）"),
        ("sent nothing for 0.2 s", "0.2 秒内没有任何数据"),
        ("503 sent nothing more for 30 s", "503 30 秒内没有后续数据"),
        ("key 2: cannot connect (connection reset by peer)", "key 2: 无法连接（连接被对方重置）"),
        (
            "environment variable MY_KEY is not set; set it and restart, or enter the key itself",
            "环境变量 MY_KEY 未设置；请设置后重启，或直接输入密钥",
        ),
        (
            'All upstreams failed: upstream "a": 401 no such key; upstream "b": timed out.',
            "所有上游都失败：上游“a”：401 no such key；上游“b”：超时。",
        ),
        ("cannot connect (connection refused), retries used up", "无法连接（连接被拒绝），重试次数已用完"),
        ("backup, unlikely: says so", "备用，可能性低：says so"),
        ("the vendor's own words", "the vendor's own words"),
    ],
)
def test_a_sentence_of_the_daemon_is_said_in_chinese(
    demo: Daemon, open_page: Open, english: str, chinese: str
) -> None:
    page = open_page(demo, locale="zh-CN")
    expect(page.locator("h1")).to_be_visible()
    said = "async ([module, text]) => (await import(module)).said(text)"
    assert page.evaluate(said, [MODULE, english]) == chinese


def test_the_details_and_the_row_of_a_failing_upstream_speak_chinese(tmp_path: Path, open_page: Open) -> None:
    with ScriptedUpstream(say("fine")) as second, ScriptedUpstream(status(401, "no such key")) as first:
        entries = (
            upstream("broken", "http://127.0.0.1:9"),
            upstream("denied", first.url),
            upstream("fine", second.url),
        )
        with Daemon(tmp_path, settings(*entries, failover={"error_threshold": 1})) as daemon:
            assert ask(daemon.url, "messages").status == 200
            [row] = daemon.get("/api/requests").json["requests"]
            page = open_page(daemon, f"/#/requests?id={row['id']}", locale="zh-CN")
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("无法连接（连接被拒绝）")
            expect(dialog).to_contain_text("no such key")
            page.keyboard.press("Escape")
            page.get_by_role("link", name="上游", exact=True).click()
            expect(page.locator(".entry").filter(has_text="broken")).to_contain_text("无法连接（连接被拒绝）")

"""Failures, verdicts and reasons in the language of the page; what an upstream has said stays as it said it."""

from pathlib import Path

from playwright.sync_api import expect

from tests.bed.asking import ask, question
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say, status
from tests.browser.conftest import Open

MODULE = "/js/i18n.js"


SENTENCES = dict(
    [
        ("cannot connect (connection refused)", "无法连接（连接被拒绝）"),
        ("sent nothing for 0.2 s", "0.2 秒内没有任何数据"),
        ("503 sent nothing more for 30 s", "503 30 秒内没有后续数据"),
        ("key 2: cannot connect (connection reset by peer)", "密钥 2：无法连接（连接被对方重置）"),
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
        ("This body was not captured.", "此内容未被捕获。"),
        ("503 too many errors (key is not active)", "503 too many errors (key is not active)"),
        ("does not serve chat clients", "不服务 chat 客户端"),
        ("not today (mon, tue only)", "今天不服务（仅周一、周二）"),
        (
            "model m cooling down until 05:22 after 2 errors: cannot connect (connection refused)",
            "模型 m 冷却至 05:22，2 次错误后：无法连接（连接被拒绝）",
        ),
        ("at its limit of 2 concurrent requests", "已达上限：2 个并发请求"),
        (
            "it does not accept images and tools, which this request needs",
            "不接受此请求需要的图片、工具",
        ),
        ('primary, rule "tools"', "主用，规则“tools”"),
        (
            'Account 3 "a: b": skipped, it has no http(s) address',
            "Account 3“a: b”：已跳过，没有 http(s) 地址",
        ),
        (
            "Router.think: became a rule; images anywhere in the conversation count, not only in the last message",
            "Router.think：已成为规则；对话中任何位置的图片都算，不只是最后一条消息",
        ),
        (
            "timeouts.connect: left unchanged (10), the imported file has 20",
            "timeouts.connect：保持不变（10），导入的文件是 20",
        ),
        (
            'budget of upstream "backup": 2.00 spent this day, soft limit 1',
            "上游“backup”的预算：今天已花费 2.00，软限制 1",
        ),
        (
            "$.upstreams[0].pro (line 7, column 3): unknown field, kept without effect; did you mean `proxy`?",
            "$.upstreams[0].pro（第 7 行第 3 列）：未知字段，已保留但不起作用；是否指 `proxy`？",
        ),
        (
            "The last notification was not delivered: ntfy.sh: cannot connect (connection refused)",
            "上一条通知未送达：ntfy.sh: 无法连接（连接被拒绝）",
        ),
        (
            '/d/uses.json cannot be written (No space left on device); what you chose with "use now" is lost.',
            "无法写入 /d/uses.json（设备上没有剩余空间）；“立即使用”的选择已丢失。",
        ),
        (
            "reduced to 1,024: the prompt leaves no more of the context window of 32,768 tokens",
            "降为 1,024：上下文窗口为 32,768 个 token，除去提示只剩这么多",
        ),
        (
            "this upstream does not run it: the client gets a search error",
            "此上游不运行它：客户端会得到搜索错误",
        ),
        ("no other protocol has blocks of type 'a: b'", "其他协议没有类型为 'a: b' 的内容块"),
        (
            "'ran; away' is not known: the answer counts as complete",
            "'ran; away' 不是已知的结束原因：回答视为完整",
        ),
    ]
)


def test_sentences_of_the_daemon_are_said_in_chinese(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, locale="zh-CN")
    expect(page.locator("h1")).to_be_visible()
    said = "async ([module, texts]) => { const { said } = await import(module); return texts.map(said) }"
    found = page.evaluate(said, [MODULE, list(SENTENCES)])
    assert dict(zip(SENTENCES, found, strict=True)) == SENTENCES


def test_the_details_and_the_row_of_a_failing_upstream_speak_chinese(tmp_path: Path, open_page: Open) -> None:
    with ScriptedUpstream(say("fine")) as second, ScriptedUpstream(status(401, "no such key")) as first:
        entries = (
            upstream("broken", "http://127.0.0.1:9"),
            upstream("denied", first.url),
            upstream("fine", second.url),
        )
        rules = {"error_threshold": 1, "cooldown_start_seconds": 600}
        with Daemon(tmp_path, settings(*entries, failover=rules)) as daemon:
            assert ask(daemon.url, "messages").status == 200
            [row] = daemon.get("/api/requests").json["requests"]
            page = open_page(daemon, f"/#/requests?id={row['id']}", locale="zh-CN")
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("无法连接（连接被拒绝）")
            expect(dialog).to_contain_text("no such key")
            page.keyboard.press("Escape")
            page.get_by_role("link", name="上游", exact=True).click()
            expect(page.locator(".entry").filter(has_text="broken")).to_contain_text("无法连接（连接被拒绝）")


def test_what_was_dropped_in_conversion_has_its_reason_in_chinese(tmp_path: Path, open_page: Open) -> None:
    with ScriptedUpstream(say("fine")) as server:
        entry = upstream("chat server", server.url, "chat", capabilities={"top_k": False})
        with Daemon(tmp_path, settings(entry)) as daemon:
            daemon.post("/api/capture", {"mode": "next"})
            daemon.post("/v1/messages", question("messages", "m") | {"top_k": 5, "frobnicate": 1})
            [row] = daemon.get("/api/requests").json["requests"]
            page = open_page(daemon, f"/#/requests?id={row['id']}", locale="zh-CN")
            lost = page.get_by_role("dialog").locator(".skips li")
            reasons = ["frobnicate— 其他协议没有这一项", "top_k— 此上游不支持"]
            expect(lost).to_have_text(reasons)
            page.get_by_role("button", name="检查", exact=True).click()
            compared = page.locator(".compared-row").filter(has_text="top_k")
            expect(compared).to_contain_text("此上游不支持")
            expect(lost).to_have_text([*reasons, *reasons])  # of the details and of the inspector

"""Make the screenshots of docs/images: a daemon with made-up upstreams and a month of statistics, seen in Chromium.

Chromium needs a font with Chinese characters.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from switchyard.store.journal_line import SCHEMA_VERSION, Line, LineUsage, write_line  # noqa: E402
from tests.bed.chrome import find_chrome  # noqa: E402
from tests.bed.daemon import Daemon, Document, settings, upstream  # noqa: E402
from tests.bed.upstream import Answer, ScriptedUpstream, answer, status  # noqa: E402
from tests.bed.wire import Reply, Usage  # noqa: E402

IMAGES = ROOT / "docs" / "images"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
WIDTH, HEIGHT, NARROW = 1280, 800, 390
WIDTHS, LOCALES = (1400, 800, NARROW), ("en-GB", "zh-CN")
DAYS = 30
SEED = 5101
PORT = 5101
"""the usual address; no other daemon may run"""
REQUESTS = 24
COOLDOWN_SECONDS = 540
"""longer than it takes to make all images"""
MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5", "gpt-5.5", "gpt-4o")
UPSTREAMS = ("Monday key", "Weekend reseller", "vLLM in the cellar")
PROJECTS = ("/home/me/company/shop", "/home/me/company/api", "/home/me/notes")
SESSION_REQUESTS = 12
"""of one conversation, about"""
RULES = [
    {
        "name": "Sub-agents stay in the cellar",
        "when": {"subagent": True},
        "upstreams": ["vLLM in the cellar"],
        "model": "qwen3-235b",
    },
    {"when": {"project": "~/company/*", "client": "codex"}, "upstreams": ["Night shift"]},
    {"name": "Long prompts", "when": {"tokens_over": 60000}, "upstreams": ["Weekend reseller"]},
]
PANELS = {
    "overview": "/",
    "upstreams": "/#/upstreams",
    "requests": "/#/requests",
    "sessions": "/#/sessions",
    "compare": "/#/numbers",
    "models": "/#/models",
    "rules": "/#/rules",
    "failover": "/#/failover",
    "clients": "/#/clients",
    "file": "/#/file",
    "tokens": "/token-stats.html",
}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES, help="folder for the images (default docs/images)")
    help_all = "each whole page at three widths, in both themes and languages, to look at one by one"
    parser.add_argument("--all", action="store_true", help=help_all)
    options = parser.parse_args(argv)
    folder: Path = options.to
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        daemon = stack.enter_context(_prepared(stack))
        _make_requests(daemon)
        _make_history(daemon)
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=find_chrome(), args=ARGUMENTS
        )
        take = _every_page if options.all else _those_of_the_docs
        take(browser, daemon, folder)
        browser.close()
    return 0


def _those_of_the_docs(browser: Browser, daemon: Daemon, folder: Path) -> None:
    for name, path in PANELS.items():
        _shoot(browser, daemon.url + path, folder / f"{name}.png")
    _shoot(browser, f"{daemon.url}/", folder / "overview-dark.png", theme="dark")
    _shoot(browser, f"{daemon.url}/", folder / "overview-zh.png", locale="zh-CN")
    _shoot(browser, f"{daemon.url}/", folder / "overview-narrow.png", width=NARROW)
    _shoot(browser, f"{daemon.url}/#/requests", folder / "request.png", _open_a_failover)
    _capture_a_request(daemon)
    _shoot(browser, f"{daemon.url}/#/requests", folder / "inspector.png", _open_the_inspector)


def _every_page(browser: Browser, daemon: Daemon, folder: Path) -> None:
    for (name, path), width, theme, locale in product(PANELS.items(), WIDTHS, ("light", "dark"), LOCALES):
        image = folder / f"{name}-{width}-{theme}-{locale[:2]}.png"
        _shoot(browser, daemon.url + path, image, width=width, theme=theme, locale=locale, whole=True)


# --- the daemon -------------------------------------------------------


def _prepared(stack: ExitStack) -> Daemon:
    def server(*answers: Answer) -> str:
        return stack.enter_context(ScriptedUpstream(*answers)).url

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    dice = random.Random(SEED)
    good = [answer(Reply("Hello.", usage=_numbers(dice)), seconds_between=0.02) for _ in range(REQUESTS)]
    failing = [*good[:9], status(529, "Overloaded", {"retry-after": str(COOLDOWN_SECONDS)})]
    document = settings(
        upstream("Monday key", server(*failing), priority=90, weekdays=_days(0, 5)),
        upstream("Weekend reseller", server(*good), key="env:RESELLER_KEY", activation={"at": "08:00"}),
        upstream("Night shift", server(*good), "responses", clients=["responses"], weekdays=_days(2, 3)),
        upstream(
            "vLLM in the cellar", server(*good), "chat", role="backup", models={"*": "qwen3-235b"}, key=""
        ),
        upstream("Old key", "https://api.example.com", enabled=False),
        failover={"error_threshold": 1},
        model_rules=[{"from": "claude-3-5-haiku-*", "to": "claude-haiku-4-5"}],
        routes=RULES,
        prices={"qwen3-*": {"input": 0.2, "output": 0.6}},
    )
    for entry in document["upstreams"]:
        entry["key"] = "sk-example" if entry["key"].startswith("sk-") else entry["key"]
    daemon = Daemon(folder, None, {"RESELLER_KEY": "sk-example"})
    daemon.port = PORT
    daemon.data = daemon.home / "switchyard" / "json_data"
    daemon.write_settings(document)
    _write_journal(daemon.data / "usage", dice)
    return daemon


def _days(first: int, count: int) -> list[str]:
    """Counted from today, so that the picture is the same on every day."""
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    today = datetime.now().weekday()
    return [names[(today + first + day) % 7] for day in range(count)]


def _numbers(dice: random.Random) -> Usage:
    return Usage(
        dice.randint(500, 6000), dice.randint(4000, 40000), dice.randint(0, 4000), dice.randint(100, 2500)
    )


def _write_journal(folder: Path, dice: random.Random) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for line in _lines(dice):
        with (folder / f"{line.day[:7]}.jsonl").open("ab") as file:
            file.write(write_line(line))


def _lines(dice: random.Random) -> Iterator[Line]:
    """A month of use."""
    now = datetime.now().astimezone()
    for days_ago in range(DAYS, -1, -1):
        morning = (now - timedelta(days=days_ago)).replace(hour=8, minute=0)
        count = dice.randint(5, 15) if morning.weekday() > 4 else dice.randint(30, 70)
        moments = sorted(morning + timedelta(seconds=dice.randint(0, 13 * 3600)) for _ in range(count))
        for number, at in enumerate(moments):
            if at < now:
                yield _line(number, at, dice)


def _line(number: int, at: datetime, dice: random.Random) -> Line:
    failed = dice.random() < 0.02
    offset, duration = at.utcoffset() or timedelta(), dice.uniform(4, 40)
    return Line(
        v=SCHEMA_VERSION,
        id=f"{at:%m%d}-{number}",
        session=f"{at:%m%d}{number // SESSION_REQUESTS:02}a1e-83f2",
        project=PROJECTS[number // SESSION_REQUESTS % len(PROJECTS)],
        agent="claude-cli/2.1.197",
        client_protocol="messages",
        protocol="messages",
        began=at.timestamp() - duration,
        at=at.timestamp(),
        day=at.date().isoformat(),
        offset=int(offset.total_seconds() // 60),
        model=dice.choices(MODELS, (6, 2, 3, 1))[0],
        upstream=dice.choices(UPSTREAMS, (5, 3, 2))[0],
        outcome="failed" if failed else "ok",
        stream=True,
        first_byte=dice.uniform(0.4, 3),
        duration=duration,
        usage=None if failed else _line_usage(_numbers(dice)),
        cost=None if failed else dice.uniform(0.01, 0.3),
    )


def _line_usage(usage: Usage) -> LineUsage:
    return LineUsage(usage.fresh, usage.cache_read, usage.cache_write, 0, usage.output)


def _make_requests(daemon: Daemon) -> None:
    for number in range(REQUESTS):
        body: Document = {"model": MODELS[number % 2], "max_tokens": 99, "stream": True}
        body["messages"] = [{"role": "user", "content": "hello"}]
        if number % 3 == 2:
            daemon.post("/v1/chat/completions", body, {"user-agent": "OpenAI/Python 3.52.0"})
        else:
            session = {"x-claude-code-session-id": f"5d0c{number % 2}a1e-83f2"}
            body["messages"][0]["content"] = f"Primary working directory: {PROJECTS[number % 2]}"
            agent = {"user-agent": "claude-cli/2.1.197 (external, cli)"}
            daemon.post("/v1/messages", body, session | agent)


def _capture_a_request(daemon: Daemon) -> None:
    """One turn of a tool, converted for a Chat upstream."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "src/main.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "import sys\n\nprint(sys.argv)"}
    system = {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}}
    body: Document = {"model": "vLLM in the cellar,claude-sonnet-4-5", "max_tokens": 32000, "stream": True}
    body |= {"thinking": {"type": "enabled", "budget_tokens": 4000}, "system": [system]}
    body["tools"] = [{"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object"}}]
    body["messages"] = [
        {"role": "user", "content": "What does src/main.py do?"},
        {"role": "assistant", "content": [{"type": "text", "text": "I will read it."}, call]},
        {"role": "user", "content": [result]},
    ]
    daemon.post("/api/capture", {"mode": "next"})
    daemon.post("/v1/messages", body, {"user-agent": "claude-cli/2.1.197 (external, cli)"})


def _make_history(daemon: Daemon) -> None:
    for minutes in (3, 2):
        revision = daemon.get("/api/configs").json["revision"]
        changes = {"failover": {"cooldown_seconds": minutes * 60}}
        daemon.post("/api/settings", {"changes": changes, "revision": revision})


# --- taking pictures -----------------------------------------------------------


def _shoot(
    browser: Browser,
    url: str,
    path: Path,
    act: Callable[[Page], None] | None = None,
    *,
    width: int = WIDTH,
    theme: str = "light",
    locale: str = "en-GB",
    whole: bool = False,
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if theme == "dark" else "light",
        locale=locale,
    )
    page.goto(url)
    page.locator("h1").wait_for()
    page.locator(".spinner").wait_for(state="detached")
    if act is not None:
        act(page)
    page.wait_for_timeout(300)
    page.screenshot(path=path, full_page=whole)
    page.close()
    print(path)


def _open_a_failover(page: Page) -> None:
    page.locator(".request", has_text="×2").first.click()
    page.locator(".attempts").wait_for()


def _open_the_inspector(page: Page) -> None:
    page.locator("[data-key=newest]").click()
    page.locator(".compared-row >> visible=true").first.wait_for()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

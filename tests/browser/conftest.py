"""Chrome or Chromium on the daemon's dashboard; a page that reports an error of its own fails its test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

from tests.bed.chrome import find_chrome
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The address bar of each new window would load pages of its own, which cost more than the dashboard. The others are
    # those that Playwright disables: the browser takes the last list only.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,AimEnabled,AvoidCorsURLLoaderRestartOnRedirect,"
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsFirstBalancedModeAutoEnable,HttpsUpgrades,"
    "LensOverlay,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,PaintHolding,PreconnectToSearch,"
    "TcpPortRandomizationWin,ThirdPartyStoragePartitioning",
]
HARMLESS = ("Failed to load resource",)
"""what the browser itself says of an answer that is meant to be an error"""

Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = f"{Path(__file__).parent}{os.sep}"
    for item in items:
        if str(item.path).startswith(folder):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file: while it runs, an event loop holds this thread, and other files' tests need it."""
    expect.set_options(timeout=1000 * PATIENCE_SECONDS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_chrome(), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a path of a daemon in a fresh profile; closes everything in the end and looks for errors."""
    contexts = []
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(HARMLESS):
            errors.append(message.text)

    def open_it(daemon: Daemon, path: str = "/", width: int = 1400, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, locale=options.pop("locale", "en-GB"), **options
        )
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE_SECONDS)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{daemon.url}{path}")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert errors == []


def sent(page: Page, late: list[Route]) -> Route:
    """The first request that a test holds back, once the page has sent it."""
    # a look at the page lets the browser's messages in
    wait_until(lambda: page.evaluate("true") and bool(late), "the request")
    return late[0]


HOSTILE = '<img src=x onerror="document.title=1">'
LONG = ("a very long name " * 20)[:300].strip()
CHINESE = "周一的密钥 🏠🚆"


@pytest.fixture
def document() -> Document:
    """Names that want to break the page, and one upstream that refuses connections."""
    return settings(
        upstream("Monday key", "http://127.0.0.1:9", weekdays=["mon"], hours="08:00-20:00"),
        upstream(HOSTILE, "http://127.0.0.1:9/v1", "chat", models={"claude-*": "qwen3-32b"}),
        upstream(
            CHINESE,
            "http://127.0.0.1:9",
            "responses",
            role="backup",
            key="sk-of-monday",
            headers={"X-Secret": "hidden-value"},
        ),
        upstream(LONG, "http://127.0.0.1:9", enabled=False),
    )


@pytest.fixture
def daemon(tmp_path: Path, document: Document) -> Iterator[Daemon]:
    with Daemon(tmp_path, document) as running:
        yield running


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Daemon]:
    """A first start: nothing but the demo."""
    with Daemon(tmp_path) as running:
        yield running

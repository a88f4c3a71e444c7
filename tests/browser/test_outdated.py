"""An open page after an update has replaced its files: it says so where it would load another part of itself."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from switchyard.web.outdated import CHINESE, SENTENCE
from tests.bed.asking import ask
from tests.bed.checkout import copy_checkout
from tests.bed.daemon import Daemon
from tests.browser.conftest import Open


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path)


@pytest.fixture
def demo(tmp_path: Path, checkout: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, root=checkout) as running:
        yield running


@pytest.mark.parametrize(("locale", "sentence"), [("en-GB", SENTENCE), ("zh-CN", CHINESE)])
def test_another_panel_is_replaced_by_the_sentence(
    demo: Daemon, checkout: Path, open_page: Open, locale: str, sentence: str
) -> None:
    page = open_page(demo, locale=locale)
    expect(page.locator(".lane").first).to_be_visible()
    shutil.rmtree(checkout / "static")
    page.evaluate("location.hash = '#/upstreams'")
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    page.reload()
    expect(page.locator("body")).to_contain_text(sentence)


def test_the_inspector_that_is_not_loaded_is_replaced_by_the_sentence(
    demo: Daemon, checkout: Path, open_page: Open
) -> None:
    demo.post("/api/capture", {"mode": "all"})
    ask(demo.url, "messages")
    page = open_page(demo, "/#/requests")
    button = page.get_by_role("button", name="Inspect the newest")
    expect(button).to_be_visible()
    shutil.rmtree(checkout / "static")
    button.click()
    expect(page.get_by_role("status").filter(has_text=SENTENCE)).to_be_visible()

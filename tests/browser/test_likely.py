"""What the dashboard shows of upstreams that are asked last."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.bed.daemon import Daemon, settings, upstream

ENTRIES = (
    upstream("claude key", "https://api.anthropic.com", "messages"),
    upstream("gpt key", "https://api.openai.com/v1", "responses"),
)
TEXTS = {
    "en-GB": (
        "asked last",
        "serves .* models and probably not",
        "api.anthropic.com serves claude models. Requests for models of other vendors",
    ),
    "zh-CN": ("最后尝试", "提供 .* 模型，很可能没有", "api.anthropic.com 提供 claude 模型"),
}


@pytest.mark.parametrize("locale", TEXTS)
def test_the_overview_and_the_editor_name_what_comes_last(
    tmp_path: Path, open_page: Callable[..., Page], locale: str
) -> None:
    badge, reason, sentence = TEXTS[locale]
    with Daemon(tmp_path, settings(*ENTRIES)) as daemon:
        page = open_page(daemon, locale=locale)
        stops = page.locator(".stop", has_text=badge)
        # in the route of each of the three clients one of the two is unlikely
        expect(stops).to_have_count(3)
        expect(stops.first).to_have_attribute("title", re.compile(reason))
        page.goto(f"{daemon.url}/#/upstreams")
        page.get_by_role("button", name=re.compile("^(Edit|编辑)$")).first.click()
        expect(page.get_by_role("dialog").get_by_text(sentence)).to_be_visible()
        # once the entry states what it is for, nothing is left to say
        page.get_by_role("dialog").locator('[name="model"]').fill("claude-opus-4-5")
        expect(page.get_by_role("dialog").get_by_text(sentence)).to_have_count(0)

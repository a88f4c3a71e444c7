"""What every panel owes every reader: it fits, has labels and contrast, speaks both languages, and is alone."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.upstream import ScriptedUpstream
from tests.browser.conftest import CHINESE, HOSTILE, LONG, Open

STATIC = Path(__file__).resolve().parents[2] / "static"
PATHS = [
    "/",
    "/#/upstreams",
    "/#/requests",
    "/#/models",
    "/#/rules",
    "/#/failover",
    "/#/clients",
    "/#/file",
    "/token-stats.html",
]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with hostile names, requests of every outcome, and a rest."""
    document = settings(
        upstream(HOSTILE, "http://127.0.0.1:9", clients=["messages"]),
        upstream(LONG, "http://127.0.0.1:9/" + "long/" * 60, "chat", key="sk-x"),
        upstream(CHINESE, "http://127.0.0.1:9", "responses", key="sk-x", models={"*": "m" * 150}),
        model_rules=[{"from": "a" * 120, "to": "b" * 120}],
        routes=[
            {
                "name": "n" * 100,
                "when": {"client": "c" * 120, "project": ["~/" + "p" * 120, "q"], "subagent": True},
                "upstreams": [LONG, HOSTILE],
                "model": "m" * 150,
            }
        ],
        prices={"p" * 100: {"input": 1, "output": 2}},
        client_keys={},
    )
    with Daemon(tmp_path_factory.mktemp("look"), document) as running:
        for model in ("claude-x", "m" * 200, HOSTILE, CHINESE):
            body: Document = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
            running.post("/v1/messages", body)
        yield running


def settle(page: Page) -> None:
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".spinner")).to_have_count(0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_is_wider_than_the_page(busy: Daemon, open_page: Open, path: str, width: int) -> None:
    page = open_page(busy, path, width)
    settle(page)
    wide = page.evaluate(WIDE)
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_text_has_contrast(busy: Daemon, open_page: Open, path: str, theme: str) -> None:
    page = open_page(busy, path, color_scheme=theme)
    settle(page)
    assert page.evaluate(WEAK_TEXT) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_an_open_rule_fits_the_page_and_has_contrast(
    busy: Daemon, open_page: Open, width: int, theme: str
) -> None:
    page = open_page(busy, "/#/rules", width, color_scheme=theme)
    page.locator(".rule-opener").click()
    page.get_by_label("Hours").fill("25:00")
    expect(page.get_by_text("has errors")).to_be_visible()
    assert page.evaluate(WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(WEAK_TEXT) == []


@pytest.mark.parametrize("path", PATHS)
def test_every_control_has_a_name_and_every_field_a_label(busy: Daemon, open_page: Open, path: str) -> None:
    page = open_page(busy, path)
    settle(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select, textarea, [role=radio], [role=switch]")]
            .filter((one) => one.checkVisibility())
            .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() && one.tagName !== "SELECT"
                || one.labels?.length || one.title))
            .map((one) => one.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


@pytest.mark.parametrize("path", PATHS)
def test_everything_is_reached_by_the_tab_key_in_the_order_of_the_page(
    busy: Daemon, open_page: Open, path: str
) -> None:
    page = open_page(busy, path)
    settle(page)
    places: list[int] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        place = page.evaluate(
            """() => document.activeElement === document.body ? -1
                : [...document.querySelectorAll("*")].indexOf(document.activeElement)"""
        )
        if place < 0:
            break
        places.append(place)
    first = page.locator("*").nth(places[0])
    assert (first.get_attribute("class"), places) == ("skip", sorted(places))
    assert len(places) > 10
    page.locator(":focus, body").first.evaluate("(one) => one.blur()")


@pytest.mark.parametrize("path", PATHS)
def test_the_pages_speak_chinese(busy: Daemon, open_page: Open, path: str) -> None:
    page = open_page(busy, path, locale="zh-CN")
    settle(page)
    assert re.search("[\u4e00-\u9fff]", page.locator("h1").inner_text() + page.locator("nav").inner_text())
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    words = set(json.loads((STATIC / "i18n" / "en.json").read_text()))
    shown = set(page.locator("main").inner_text().split())
    assert shown & words == set()


def test_language_and_theme_are_chosen_and_kept(busy: Daemon, open_page: Open) -> None:
    page = open_page(busy)
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="概览")).to_be_visible()
    page.get_by_role("button", name="主题：跟随系统").click()
    page.get_by_role("button", name="主题：浅色").click()
    page.reload()
    expect(page.get_by_role("heading", name="概览")).to_be_visible()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_nothing_comes_from_elsewhere_and_nothing_is_inline(busy: Daemon, open_page: Open) -> None:
    page = open_page(busy)
    settle(page)
    origins = page.evaluate("performance.getEntriesByType('resource').map((one) => new URL(one.name).origin)")
    assert set(origins) == {busy.url}
    policy = busy.get("/").header("content-security-policy") or ""
    assert "unsafe" not in policy
    for path in STATIC.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", text), path


def test_a_page_of_another_origin_can_do_nothing(busy: Daemon, browser: Browser) -> None:
    before = busy.settings_path.read_text()
    with ScriptedUpstream() as elsewhere:
        page = browser.new_page()
        page.goto(f"{elsewhere.url}/")
        outcomes = page.evaluate(ATTACK, busy.url)
        page.close()
    assert outcomes == ["refused", "refused", "refused"]
    assert busy.get("/api/state").json["capture"]["mode"] == "off"
    assert busy.settings_path.read_text() == before


ATTACK = """async (target) => Promise.all([
    fetch(`${target}/api/state`).then(() => "read", () => "refused"),
    fetch(`${target}/api/reload`, { method: "POST", body: "{}" }).then(() => "read", () => "refused"),
    fetch(`${target}/api/capture`, { method: "POST", mode: "no-cors", body: '{"mode": "all"}' })
        .then((answer) => answer.type, () => "refused"),
])"""
WIDE = """() => {
  const fits = (box) => box.getBoundingClientRect().right <= innerWidth + 1;
  const isCutOff = (one) => {
    for (let box = one.parentElement; box; box = box.parentElement) {
      if (getComputedStyle(box).overflowX !== "visible" && fits(box)) return true;
    }
    return false;
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => !fits(one) && one.getBoundingClientRect().left >= 0)
    .filter((one) => !one.closest("nav, .table-holder, pre, .off-screen") && !isCutOff(one))
    .map((one) => `${one.tagName}.${one.className}`);
}"""
WEAK_TEXT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let box = element; box; box = box.parentElement) {
      const colour = rgba(getComputedStyle(box).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return rgba(getComputedStyle(document.body).backgroundColor);
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.disabled) continue;
    if (element.closest("svg, .off-screen, .skip")) continue;
    const sides = [rgba(getComputedStyle(element).color), behind(element)].map(luminance);
    const [one, other] = sides.sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const name = `${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}`;
    if (ratio < 4.5) weak.push(`${ratio.toFixed(2)} ${name}`);
  }
  return [...new Set(weak)];
}"""

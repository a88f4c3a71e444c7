"""What a row shows on a phone and on a tablet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.browser.conftest import Open
from tests.browser.test_look import PATHS, settle

TOO_SMALL = """() => {
  const size = (one) => one.closest("label.check")?.getBoundingClientRect() ?? one.getBoundingClientRect();
  const controls = [...document.querySelectorAll("button, a, input, select, textarea, summary")]
    .filter((one) => one.checkVisibility() && !one.matches(".skip"));
  const targets = controls.filter((one) => size(one).width < 24 || size(one).height < 24);
  // iOS zooms into a field with a smaller font
  const fields = controls.filter((one) => one.matches("input, select, textarea"));
  const zoomed = fields.filter((one) => parseFloat(getComputedStyle(one).fontSize) < 16);
  return [...targets, ...zoomed].map((one) => `${one.tagName}.${one.className} ${one.textContent.slice(0, 30)}`);
}"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with one request that has a cost."""
    with ScriptedUpstream(say("fine")) as server:
        document = settings(upstream("mine", server.url), prices={"*": {"input": 1000, "output": 1000}})
        with Daemon(tmp_path_factory.mktemp("phone"), document) as daemon:
            assert ask(daemon.url, "messages").status == 200
            yield daemon


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 620, 800])
def test_a_row_on_a_small_screen_shows_tokens_duration_and_cost(
    asked: Daemon, open_page: Open, width: int, theme: str
) -> None:
    page = open_page(asked, "/#/requests", width, color_scheme=theme)
    row = page.locator(".request").first
    for name in ("model", "time", "upstream", "outcome", "tokens", "duration", "cost"):
        cell = row.locator(f".c-{name}")
        expect(cell).to_be_visible()
        assert cell.evaluate("one => one.scrollWidth <= one.clientWidth + 1"), name
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_finger_hits_all_targets_and_reads_what_a_mouse_shows_on_hover(
    asked: Daemon, open_page: Open
) -> None:
    page = open_page(asked, "/", 390, has_touch=True, is_mobile=True)
    for path in ("/#/overview", *PATHS[1:]):
        page.goto(f"{asked.url}{path}")
        expect(page.locator("nav [aria-current]")).to_have_attribute("href", path)
        settle(page)
        assert page.evaluate(TOO_SMALL) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto(f"{asked.url}/#/upstreams")
    page.locator(".week-track .span").first.tap()
    expect(page.locator(".note")).to_contain_text("serves first")


def test_a_tap_opens_its_row_although_others_appear_before_its_click(tmp_path: Path, open_page: Open) -> None:
    with Daemon(tmp_path) as demo:
        assert ask(demo.url, "messages", "tapped").status == 200
        page = open_page(demo, "/#/requests", 390, has_touch=True, is_mobile=True)
        rows = page.locator(".request")
        row = rows.filter(has_text="tapped")
        row.dispatch_event("pointerdown")
        assert ask(demo.url, "messages", "late").status == 200
        expect(page.get_by_text("2 requests", exact=True)).to_be_visible()
        # the click of a finger comes some time after the release
        row.dispatch_event("pointerup")
        page.evaluate("() => new Promise((done) => setTimeout(done))")
        expect(rows).to_have_count(1)
        row.dispatch_event("click")
        expect(page.get_by_role("dialog")).to_contain_text("tapped")
        expect(rows).to_have_count(2)

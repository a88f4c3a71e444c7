"""What a row shows on a phone and on a tablet."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.browser.conftest import Open


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

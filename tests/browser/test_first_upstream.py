"""The way of someone new: from a pasted key to the first request that is seen."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bed.daemon import Daemon, Document
from tests.bed.patience import wait_until
from tests.bed.upstream import Answer, Received, Script, ScriptedUpstream, say, status, whole
from tests.browser.conftest import Open

KEY = "sk-pasted"
MODELS = ["glm-4.6", "glm-4.5-air", "embedding-3"]


def listing(names: list[str]) -> Answer:
    body = json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()

    def script(request: Received) -> Script:
        return whole(200, body) if request.path == "/api/v1/models" else status(404)(request)

    return script


def only(path: str) -> Answer:
    def script(request: Received) -> Script:
        return say("pong")(request) if request.path == path else status(404, "Invalid URL")(request)

    return script


@pytest.fixture
def relay() -> Iterator[ScriptedUpstream]:
    """A reseller that speaks Chat only, below /api."""
    with ScriptedUpstream(only("/api/v1/chat/completions")) as server:
        server.on_get = listing(MODELS)
        yield server


def stored(daemon: Daemon) -> list[Document]:
    entries: list[Document] = json.loads(daemon.settings_path.read_text())["upstreams"]
    return entries


def new_form(page: Page) -> Locator:
    page.locator(".panel-head").get_by_role("button", name="Add upstream").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Key", exact=True)).to_be_focused()
    return form


@pytest.mark.parametrize(
    ("key", "vendor", "url", "protocol"),
    [
        ("sk-ant-x", "anthropic", "https://api.anthropic.com", "messages"),
        ("sk-or-x", "openrouter", "https://openrouter.ai/api", "messages"),
        ("gsk_x", "groq", "https://api.groq.com/openai/v1", "chat"),
        ("sk-proj-x", "openai", "https://api.openai.com/v1", "responses"),
    ],
)
def test_a_pasted_key_chooses_its_service(
    demo: Daemon, open_page: Open, key: str, vendor: str, url: str, protocol: str
) -> None:
    form = new_form(open_page(demo, "/#/upstreams"))
    form.get_by_label("Key", exact=True).fill(key)
    expect(form.get_by_role("combobox", name="Service")).to_have_value(vendor)
    expect(form.get_by_label("Base URL")).to_have_value(url)
    expect(form.get_by_label("Protocol", exact=True)).to_have_value(protocol)
    expect(form.get_by_text(f"Requests go to {url}")).to_be_visible()
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert stored(demo)[-1]["key"] == key


def test_a_preset_fills_in_the_form_and_a_local_server_needs_no_key(demo: Daemon, open_page: Open) -> None:
    page = open_page(demo, "/#/upstreams")
    form = new_form(page)
    service = form.get_by_role("combobox", name="Service")
    assert len(service.locator("option").all()) == 1 + len(demo.get("/api/configs").json["vendors"])
    service.select_option("kimi")
    expect(form.get_by_label("Base URL")).to_have_value("https://api.moonshot.cn/anthropic")
    service.select_option("vllm")
    expect(form.get_by_label("Key", exact=True)).to_be_hidden()
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert stored(demo)[-1] == {
        "name": "vLLM",
        "base_url": "http://localhost:8000",
        "protocol": "chat",
        "server": "vllm",
    }


def test_protocol_url_and_model_of_a_reseller_are_found_with_one_question(
    demo: Daemon, open_page: Open, relay: ScriptedUpstream
) -> None:
    page = open_page(demo, "/#/upstreams")
    form = new_form(page)
    form.get_by_label("Key", exact=True).fill(KEY)
    form.get_by_label("Base URL").fill(relay.url)
    form.get_by_role("button", name="Test connection").click()
    test = page.get_by_role("dialog").last
    expect(test.get_by_text("The form has both now.")).to_be_visible()
    test.get_by_role("button", name="Close").click()
    expect(form.get_by_label("Protocol", exact=True)).to_have_value("chat")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert stored(demo)[-1] == {
        "name": "127.0.0.1",
        "base_url": f"{relay.url}/api/v1/chat/completions",
        "protocol": "chat",
        "key": KEY,
    }
    answered = [one for one in relay.requests if one.path == "/api/v1/chat/completions"]
    assert [one.json["model"] for one in answered] == ["gpt-5.5"]


def test_the_models_of_an_upstream_are_fetched_and_a_mapping_is_suggested(
    demo: Daemon, open_page: Open, relay: ScriptedUpstream
) -> None:
    page = open_page(demo, "/#/upstreams")
    form = new_form(page)
    form.get_by_label("Key", exact=True).fill(KEY)
    form.get_by_label("Base URL").fill(f"{relay.url}/api")
    form.get_by_label("Protocol", exact=True).select_option("chat")
    form.get_by_role("button", name="Fetch models").click()
    expect(form.get_by_text("The upstream lists 3 models.")).to_be_visible()
    form.get_by_role("button", name="Use this mapping").click()
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert stored(demo)[-1]["models"] == {
        "claude-opus-*": "glm-4.6",
        "claude-sonnet-*": "glm-4.6",
        "claude-haiku-*": "glm-4.5-air",
        "gpt-*": "glm-4.6",
    }
    assert not relay.requests


COUNT_ACTIONS = """() => {
    window.clicks = 0;
    window.fields = new Set();
    addEventListener("click", (event) => { window.clicks += event.isTrusted ? 1 : 0 }, true);
    const nameOf = ({ target }) => target.labels[0]?.textContent ?? target.ariaLabel;
    addEventListener("input", (event) => window.fields.add(nameOf(event)), true);
}"""
"""What the user has to do: the clicks, and the fields to fill in."""


def step(page: Page, name: str) -> Locator:
    return page.locator(
        f".guide [data-step={name}], .guide [data-step={'seen' if name == 'request' else name}]"
    )


def walk(demo: Daemon, page: Page, relay: ScriptedUpstream) -> None:
    """What someone new does, from the overview to the first request."""
    expect(step(page, "upstream")).to_be_visible()
    step(page, "upstream").get_by_role("button", name="Add upstream").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.type(KEY)
    form.get_by_label("Base URL").fill(f"{relay.url}/api")
    form.get_by_role("button", name="Test connection").click()
    test = page.get_by_role("dialog").last
    expect(test.get_by_text("The form has both now.")).to_be_visible()
    page.keyboard.press("Escape")
    form.get_by_role("button", name="Save").click()
    expect(step(page, "upstream")).to_contain_text("done")
    expect(step(page, "test")).to_contain_text("done")
    step(page, "client").get_by_role("button", name="Claude Code").click()
    page.get_by_role("dialog").get_by_role("button", name="Write").click()
    expect(step(page, "client")).to_contain_text("done")
    env = json.loads((demo.home / ".claude" / "settings.json").read_text())["env"]
    assert env["ANTHROPIC_BASE_URL"].endswith("/api")
    body = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    assert demo.post("/api/v1/messages", body).status == 200
    expect(step(page, "request")).to_contain_text("First request seen")
    expect(step(page, "request").get_by_text("claude-x → 127.0.0.1")).to_be_visible()


def test_someone_new_gets_from_a_pasted_key_to_the_first_request(
    demo: Daemon, open_page: Open, relay: ScriptedUpstream
) -> None:
    page = open_page(demo)
    page.evaluate(COUNT_ACTIONS)
    walk(demo, page, relay)
    actions = page.evaluate("({ clicks: window.clicks, fields: [...window.fields] })")
    assert actions == {"clicks": 5, "fields": ["Key", "Base URL"]}
    page.locator(".guide").get_by_role("button", name="Finish").click()
    expect(page.locator(".guide")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("link", name="claude-x")).to_be_visible()
    expect(page.locator(".guide")).to_have_count(0)


def test_the_guide_is_not_shown_to_those_who_have_sent_requests(
    demo: Daemon, open_page: Open, relay: ScriptedUpstream
) -> None:
    entry = {"name": "mine", "base_url": f"{relay.url}/api", "protocol": "chat"}
    demo.change_settings({"upstreams": [entry]})
    body = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    assert demo.post("/v1/messages", body).status == 200
    page = open_page(demo)
    remembered = "localStorage.getItem('first-run')"
    wait_until(lambda: page.evaluate(remembered) == "done", "the decision against the guide")
    expect(page.get_by_role("link", name="claude-x")).to_be_visible()
    expect(page.locator(".guide")).to_have_count(0)


@pytest.mark.parametrize("place", ["guide", "clients"])
def test_the_endpoint_in_the_file_of_a_client_is_adopted(
    demo: Daemon, open_page: Open, relay: ScriptedUpstream, place: str
) -> None:
    path = demo.home / ".claude" / "settings.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": relay.url, "ANTHROPIC_AUTH_TOKEN": KEY}}))
    if place == "guide":
        page = open_page(demo)
        step(page, "upstream").get_by_role("button", name=f"Use {relay.url} of Claude Code").click()
        expect(step(page, "upstream")).to_contain_text("done")
    else:
        page = open_page(demo, "/#/clients")
        page.locator("[data-client=claude]").get_by_role("button", name="Add it as an upstream").click()
        expect(page.get_by_text("“127.0.0.1” was added.")).to_be_visible()
        expect(page.get_by_role("button", name="Add it as an upstream")).to_have_count(0)
    assert stored(demo)[-1] == {
        "name": "127.0.0.1",
        "base_url": relay.url,
        "protocol": "messages",
        "key": KEY,
    }
    assert KEY not in page.content()


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_the_first_client_key_warns_and_updates_the_clients_that_are_set_up(
    demo: Daemon, open_page: Open, locale: str
) -> None:
    def words(english: str, chinese: str) -> str:
        return chinese if locale == "zh-CN" else english

    demo.post("/api/clients/apply", {"client": "claude"})
    page = open_page(demo, "/#/clients", locale=locale)
    page.locator("[data-key=add-key]").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".banner")).to_contain_text(
        words("Claude Code is set up without a key", "Claude Code 设置时没有密钥")
    )
    dialog.get_by_role("textbox").fill("laptop")
    dialog.get_by_role("button", name=words("Create key", "创建密钥")).click()
    key = dialog.locator("code").inner_text()
    dialog.get_by_role("button", name=words("Update Claude Code…", "更新 Claude Code…")).click()
    page.get_by_role("dialog").last.get_by_role("button", name=words("Write", "写入")).click()
    expect(dialog.get_by_text(words("Claude Code has the key.", "Claude Code 已有此密钥。"))).to_be_visible()
    env = json.loads((demo.home / ".claude" / "settings.json").read_text())["env"]
    assert env["ANTHROPIC_AUTH_TOKEN"] == key
    dialog.locator("footer").get_by_role("button").first.click()
    page.locator("[data-key=add-key]").click()
    expect(page.get_by_role("dialog").locator(".banner")).to_have_count(0)

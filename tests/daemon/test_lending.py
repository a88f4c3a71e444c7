"""A stored secret is only sent to the address it was saved with: no unsaved form and no edit changes that."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.keychain import FakeKeychain
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, say

SECRETS = {
    "literal": "sk-literal-of-the-owner",
    "env": "sk-in-the-environment",
    "keyring": "sk-in-the-keychain",
    "other variable": "another-variable-of-the-machine",
    "other entry": "another-entry-of-the-keychain",
    "header": "secret-in-a-header",
}
KEYS = {"literal": SECRETS["literal"], "env": "env:OWNERS_KEY", "keyring": "keyring:owner"}
ENVIRONMENT = {"OWNERS_KEY": SECRETS["env"], "OTHER": SECRETS["other variable"]}
TOKEN = "admin-token-admin-token"
AGAIN = "expected the value again, as a stored one goes only to the base URL it was saved with"
UNSAVED = "expected a name that is saved with this base URL; save the entry first, then test it"
WAYS = (
    "another port",
    "another path",
    "another query",
    "another scheme",
    "another name",
    "a user in the address",
    "a proxy that reads along",
    "another host behind the address",
    "certificates that are not checked",
)


class Places:
    """The user's upstream and a third party's, and a daemon that has keys for the first."""

    def __init__(self, folder: Path, owner: ScriptedUpstream, stranger: ScriptedUpstream) -> None:
        self.owner, self.stranger = owner, stranger
        self.url = f"{owner.url}/relay"
        keychain = FakeKeychain(folder)
        keychain.put("owner", SECRETS["keyring"])
        keychain.put("other", SECRETS["other entry"])
        entries = [
            upstream(kind, self.url, headers={"X-Auth": SECRETS["header"]}) | {"key": key}
            for kind, key in KEYS.items()
        ]
        self.document = settings(*entries, client_keys={"sy-local": "laptop"})
        self.daemon = Daemon(folder, self.document, keychain.environment | ENVIRONMENT)

    def test(self, body: Document, headers: dict[str, str] | None = None) -> Response:
        return self.daemon.post("/api/upstreams/test", body, headers)

    def update(self, name: str, changes: Document) -> Response:
        revision = self.daemon.get("/api/configs").json["revision"]
        return self.daemon.post(
            "/api/upstreams/update", {"name": name, "changes": changes, "revision": revision}
        )

    def stored(self, name: str) -> Document:
        entries = json.loads(self.daemon.settings_path.read_text())["upstreams"]
        return next(dict(entry) for entry in entries if entry["name"] == name)

    def elsewhere(self, way: str) -> Document:
        """Fields of an entry that send its requests to a third party, or let one read them."""
        other = self.stranger.url
        fields: dict[str, Document] = {
            "another port": {"base_url": other},
            "another path": {"base_url": f"{self.owner.url}/tenant"},
            "another query": {"base_url": f"{self.url}?to={other}"},
            "another scheme": {"base_url": self.url.replace("http:", "https:")},
            "another name": {"base_url": self.url.replace("127.0.0.1", "localhost")},
            "a user in the address": {"base_url": self.url.replace("//", "//me@")},
            "a proxy that reads along": {"base_url": self.url, "proxy": other},
            "certificates that are not checked": {"base_url": self.url, "tls": {"verify": False}},
            "another host behind the address": {
                "base_url": self.url,
                "headers": {"Host": "stranger.example", "X-Auth": True},
            },
        }
        return fields[way]

    def strangers_secrets(self) -> list[str]:
        seen = b"".join(one.raw for one in [*self.stranger.requests, *self.stranger.probes])
        return [name for name, secret in SECRETS.items() if secret.encode() in seen]

    def forget(self) -> None:
        for seen in (self.owner.requests, self.stranger.requests, self.stranger.probes):
            seen.clear()

    def was_asked(self) -> bool:
        return bool(self.owner.requests or self.stranger.requests or self.stranger.probes)


@contextmanager
def running(folder: Path) -> Iterator[Places]:
    with ScriptedUpstream(say("pong")) as owner, ScriptedUpstream(say("pong")) as stranger:
        found = Places(folder, owner, stranger)
        with found.daemon:
            yield found


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with running(tmp_path_factory.mktemp("lending")) as found:
        yield found


@pytest.fixture
def shared(unchanged: Places) -> Places:
    """For the tests that change no settings."""
    unchanged.forget()
    return unchanged


def form(name: str, fields: Document) -> Document:
    """What the dashboard sends of an entry under edit: no key, and `true` for kept headers."""
    return {"name": name, "entry": {"name": name, "protocol": "messages", **fields}}


def new(fields: Document) -> Document:
    return {"entry": {"name": "new", "protocol": "messages", **fields}}


def refusal(response: Response) -> tuple[int, str]:
    return response.status, response.json["error"]["message"]


# --- unsaved forms -------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_form_borrows_a_stored_key_for_no_other_address(shared: Places, way: str) -> None:
    fields = shared.elsewhere(way)
    literal = shared.test(form("literal", fields))
    assert literal.status == 422 and f"key: {AGAIN}" in literal.json["error"]["message"]
    assert literal.json["error"]["field"] == "key"
    for kind in ("env", "keyring"):
        without_headers = fields | {"headers": {"Host": "stranger.example"} if "headers" in fields else {}}
        found = f'found "{KEYS[kind]}"'
        assert refusal(shared.test(form(kind, without_headers))) == (422, f"key: {UNSAVED}, {found}")
    assert not shared.was_asked()


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/messages", "/api/v1/messages"])
def test_a_form_borrows_a_stored_key_for_every_form_of_its_address(
    shared: Places, kind: str, path: str
) -> None:
    fields = {"base_url": f"{shared.url}{path}", "headers": {"X-Auth": True, "X-New": "n"}}
    report = shared.test(form(kind, fields)).json
    assert (report["ok"], report["answer"]) == (True, "pong")
    [seen] = shared.owner.requests
    assert seen.header("authorization") == f"Bearer {SECRETS[kind]}"
    assert (seen.header("x-auth"), seen.header("x-new")) == (SECRETS["header"], "n")


@pytest.mark.parametrize("key", ["sk-entered", "", "client", "env:OWNERS_KEY"])
def test_a_stored_header_is_borrowed_for_no_other_address(shared: Places, key: str) -> None:
    fields = {"base_url": shared.stranger.url, "key": key, "headers": {"X-Auth": True}}
    assert refusal(shared.test(form("literal", fields))) == (422, f'headers["X-Auth"]: {AGAIN}')
    assert not shared.was_asked()


@pytest.mark.parametrize("key", ["env:OTHER", "env:OWNERS_KEY", "env:HOME", "keyring:other", "keyring:owner"])
def test_a_form_cannot_ask_for_a_variable_or_keychain_entry_by_its_name(shared: Places, key: str) -> None:
    fields = {"base_url": shared.stranger.url, "key": key, "headers": {"X-Auth": "entered"}}
    for body in (new(fields), form("env", fields), form("literal", fields)):
        assert refusal(shared.test(body)) == (422, f'key: {UNSAVED}, found "{key}"')
    assert not shared.was_asked()


@pytest.mark.parametrize("kind", ["env", "keyring"])
def test_a_name_that_is_saved_for_the_address_may_be_tested_in_a_new_entry(shared: Places, kind: str) -> None:
    assert shared.test(new({"base_url": f"{shared.url}/v1", "key": KEYS[kind]})).json["ok"]
    assert shared.owner.requests[0].header("authorization") == f"Bearer {SECRETS[kind]}"


def test_an_entered_key_is_sent_to_the_entered_address(shared: Places) -> None:
    fields = {"base_url": shared.stranger.url, "key": "sk-entered", "headers": {"X-Auth": "entered"}}
    assert shared.test(form("literal", fields)).json["ok"]
    assert shared.stranger.requests[0].header("authorization") == "Bearer sk-entered"
    assert shared.strangers_secrets() == []


def test_the_admin_token_opens_variables_and_the_keychain_but_no_stored_key(places: Places) -> None:
    (places.daemon.data / "admin_token").write_text(TOKEN)
    places.daemon.stop()
    places.daemon.start(wait=False)
    wait_until(lambda: answers(places.daemon), "the daemon")
    admin, url = {"authorization": f"Bearer {TOKEN}"}, places.stranger.url
    assert places.test(new({"base_url": url, "key": "env:OTHER"})).status == 401
    for key in ("env:OTHER", "keyring:other"):
        assert places.test(new({"base_url": url, "key": key}), admin).json["ok"]
    assert places.strangers_secrets() == ["other variable", "other entry"]
    assert places.test(form("literal", {"base_url": url}), admin).status == 422
    assert places.test(form("env", {"base_url": url, "headers": {"X-Auth": True}}), admin).status == 422
    assert len(places.stranger.requests) == 2


def answers(daemon: Daemon) -> bool:
    try:
        return daemon.get("/api").status == 200
    except OSError:
        return False


# --- saved edits ---------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_an_edit_of_the_address_needs_the_key_again(places: Places, way: str) -> None:
    before, fields = places.stored("literal"), places.elsewhere(way)
    refused = places.update("literal", fields)
    paths = [fault["path"] for fault in refused.json["error"]["faults"]]
    assert (refused.status, paths) == (422, ["key", 'headers["X-Auth"]'])
    assert places.stored("literal") == before
    checked = places.daemon.post(
        "/api/upstreams/check", form("literal", {"headers": {"X-Auth": True}} | fields)
    )
    assert [fault["path"] for fault in checked.json["faults"]] == ["key", 'headers["X-Auth"]']

    entered = {"key": "sk-entered", "headers": fields.get("headers", {}) | {"X-Auth": "entered"}}
    assert places.update("literal", fields | entered).status == 200
    assert SECRETS["literal"] not in json.dumps(places.stored("literal"))


def test_an_edit_of_other_fields_keeps_the_key(places: Places) -> None:
    for changes in (
        {"base_url": f"{places.url}/v1/", "note": "n"},
        {"protocol": "chat", "base_url": places.url},
        {"base_url": f"{places.url}/openai/v1/chat/completions"},
        {"proxy": "", "headers": {"X-Auth": True, "X-New": "n"}},
        {"enabled": False, "name": "renamed"},
    ):
        name = "literal" if "name" not in changes else changes["name"]
        assert places.update("literal", changes).status == 200, changes
        assert places.stored(str(name))["key"] == SECRETS["literal"]


def test_a_copy_lends_its_key_to_no_other_address(places: Places) -> None:
    revision = places.daemon.get("/api/configs").json["revision"]
    copy = places.daemon.post("/api/upstreams/duplicate", {"name": "literal", "revision": revision}).json
    refused = places.update(copy["name"], {"base_url": places.stranger.url, "enabled": True})
    assert refused.status == 422
    assert places.test({"name": copy["name"]}).json["ok"]
    assert places.strangers_secrets() == [] and len(places.owner.requests) == 1


def test_the_name_of_a_variable_is_kept_by_a_saved_edit(places: Places) -> None:
    """Names are not secret, and a user who may save may use any of them: see docs/security.md."""
    assert places.update("env", {"base_url": places.stranger.url, "headers": {}}).status == 200
    report = places.test({"name": "env"}).json
    assert (report["ok"], places.strangers_secrets()) == (True, ["env"])


# --- any request to the dashboard -------------------------------------------


def test_no_request_of_a_page_sends_a_key_to_a_third_party(places: Places) -> None:
    """An import, an undone deletion and an older version contain their own addresses."""
    url = places.stranger.url
    daemon, stranger = places.daemon, {"name": "literal", "base_url": url, "protocol": "messages", "key": ""}

    def post(path: str, body: Document) -> Response:
        revision = daemon.get("/api/configs").json["revision"]
        return daemon.post(path, {"revision": revision, **body})

    accounts = {"name": "literal", "apiUrl": url, "apiKey": "", "supportedModels": {}}
    for path, body in (
        ("/api/import", {"upstreams": [stranger]}),
        ("/api/admin/azure-openai/accounts", accounts),
        ("/api/upstreams/add", {"entry": stranger}),
        ("/api/upstreams/update", {"name": "literal", "changes": {"base_url": url}}),
        ("/api/upstreams/update", {"name": "literal", "changes": {"proxy": url}}),
        ("/api/upstreams/delete", {"name": "literal"}),
    ):
        answer = post(path, body)
    version = answer.json["version"]
    post("/api/upstreams/add", {"entry": stranger})
    post("/api/upstreams/undelete", {"name": "literal", "version": version})
    post("/api/history/restore", {"version": daemon.get("/api/history").json["versions"][0]["id"]})
    for entry in daemon.get("/api/configs").json["upstreams"]:
        places.test({"name": entry["name"]})
        places.test(form(entry["name"], {"base_url": url}))
        places.test(form(entry["name"], {"base_url": entry["base_url"], "proxy": url}))
        ask(daemon.url, "messages", f"{entry['name']},m", headers={"x-api-key": "sy-local"})
    assert places.stranger.requests, "entries without a key were asked"
    assert places.strangers_secrets() == []

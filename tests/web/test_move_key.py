"""A literal key is moved to the system keychain, and no file of Switchyard contains it any more."""

import json
from pathlib import Path

import pytest

from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.keychain import FakeKeychain
from tests.bed.upstream import ScriptedUpstream, say

KEY = "sk-of-relay"
MOVE = "/api/upstreams/move-key"


def move(daemon: Daemon, name: str = "relay", revision: str = "") -> Response:
    configs = daemon.get("/api/configs").json
    return daemon.post(MOVE, {"name": name, "revision": revision or configs["revision"]})


def entries(daemon: Daemon) -> list[Document]:
    found: list[Document] = json.loads(daemon.settings_path.read_text())["upstreams"]
    return found


def test_the_file_then_names_the_key_and_requests_still_carry_it(tmp_path: Path) -> None:
    keychain = FakeKeychain(tmp_path)
    with ScriptedUpstream(say("hello")) as server:
        document = settings(upstream("relay", server.url), upstream("other", server.url, enabled=False))
        with Daemon(tmp_path, document, keychain.environment) as daemon:
            assert daemon.get("/api/configs").json["keyring"] is True
            daemon.change_settings(document | {"timeouts": {"idle": 99}})
            answer = move(daemon)
            assert answer.json == {
                "revision": daemon.get("/api/configs").json["revision"],
                "name": "relay",
                "key": {"kind": "keyring", "name": "relay"},
            }
            assert [entry["key"] for entry in entries(daemon)] == ["keyring:relay", "sk-of-other"]
            assert keychain.keys == {"relay": KEY}
            assert [path for path, text in daemon.texts().items() if KEY in text] == []

            prompt = {"role": "user", "content": "hello"}
            body: Document = {"model": "claude-x", "max_tokens": 9, "messages": [prompt]}
            assert daemon.post("/v1/messages", body).status == 200
            assert server.requests[-1].header("authorization") == f"Bearer {KEY}"
            assert KEY not in daemon.log() + daemon.output


def test_a_copy_in_the_legacy_format_is_not_changed_by_a_moved_key(tmp_path: Path) -> None:
    keychain = FakeKeychain(tmp_path)
    content = json.dumps({"api_configs": [{"name": "relay", "base_url": "http://h", "key": KEY}]})
    with Daemon(tmp_path, settings(upstream("relay", "http://127.0.0.1:9")), keychain.environment) as daemon:
        copies = [daemon.data / f"all_configs.{name}.json" for name in ("legacy", "ancestor")]
        for copy in copies:
            copy.write_text(content)
        assert move(daemon).status == 200
    assert [copy.read_text() for copy in copies] == [content, content]


def test_another_key_of_that_name_in_the_keychain_stays(tmp_path: Path) -> None:
    keychain = FakeKeychain(tmp_path)
    keychain.put("relay", "sk-of-somebody-else")
    with Daemon(tmp_path, settings(upstream("relay", "http://127.0.0.1:9")), keychain.environment) as daemon:
        assert move(daemon).json["key"] == {"kind": "keyring", "name": "relay (2)"}
    assert keychain.keys == {"relay": "sk-of-somebody-else", "relay (2)": KEY}


@pytest.mark.parametrize("name", ["周一的密钥 🏠", " relay ", '"quoted" \\ name'])
def test_a_key_is_moved_whatever_its_upstream_is_called(tmp_path: Path, name: str) -> None:
    keychain = FakeKeychain(tmp_path)
    entry = upstream(name, "http://127.0.0.1:9") | {"key": "sk-plain"}
    with Daemon(tmp_path, settings(entry), keychain.environment) as daemon:
        assert move(daemon, name).status == 200
        assert entries(daemon)[0]["key"] == f"keyring:{name.strip()}"
    assert keychain.keys == {name.strip(): "sk-plain"}


def test_a_stale_page_moves_nothing(tmp_path: Path) -> None:
    keychain = FakeKeychain(tmp_path)
    with Daemon(tmp_path, settings(upstream("relay", "http://127.0.0.1:9")), keychain.environment) as daemon:
        assert move(daemon, revision="0000000000000000").status == 409
        assert entries(daemon)[0]["key"] == KEY
    assert keychain.keys == {}


@pytest.mark.parametrize("key", ["", "env:NAME", "keyring:there", "client"])
def test_what_is_no_literal_key_is_not_moved(tmp_path: Path, key: str) -> None:
    entry = upstream("relay", "http://127.0.0.1:9") | {"key": key}
    keychain = FakeKeychain(tmp_path)
    with Daemon(tmp_path, settings(entry), keychain.environment) as daemon:
        answer = move(daemon)
    assert answer.status == 422
    assert answer.json["error"] == {
        "message": 'The file has no key of "relay" that can be moved.',
        "field": "key",
    }


REFUSALS = [
    ("absent", False, "this system has no keychain that the package keyring can use"),
    ("locked", True, "the system keychain refused relay: RuntimeError"),
]


@pytest.mark.parametrize(("broken", "offered", "why"), REFUSALS)
def test_a_keychain_that_cannot_be_used_leaves_the_key_where_it_is(
    tmp_path: Path, broken: str, offered: bool, why: str
) -> None:
    keychain = FakeKeychain(tmp_path, broken)
    with Daemon(tmp_path, settings(upstream("relay", "http://127.0.0.1:9")), keychain.environment) as daemon:
        assert daemon.get("/api/configs").json["keyring"] is offered
        answer = move(daemon)
        assert (answer.status, answer.json["error"]["message"]) == (503, f"The key stays in the file: {why}.")
        assert entries(daemon)[0]["key"] == KEY
        assert KEY not in daemon.all_written()


def test_without_the_package_it_is_not_offered_and_the_answer_says_how_to_get_it(tmp_path: Path) -> None:
    package = tmp_path / "missing" / "keyring"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not here')\n")
    environment = {"PYTHONPATH": str(package.parent)}
    with Daemon(tmp_path, settings(upstream("relay", "http://127.0.0.1:9")), environment) as daemon:
        assert daemon.get("/api/configs").json["keyring"] is False
        answer = move(daemon)
    assert answer.status == 503
    assert "pip install keyring" in answer.json["error"]["message"]

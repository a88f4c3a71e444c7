"""A long mixed run, then a search for every secret in all responses and files."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS, ask, question
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import FAULTS, Received, Script, ScriptedUpstream, answer, fixed, status, whole
from tests.bed.wire import PROTOCOLS, Call, Reply

SECRETS = {
    "literal key": "sk-literal-key-0001",
    "key without a form": "zq/7\"\\secret-of-odd-form",
    "key of the environment": "key-of-the-environment-0002",
    "custom header": "custom-header-secret-0003",
    "password of a proxy": "proxy-password-0004",
    "password in an address": "address-password-0005",
    "key in an address": "address-key-0006",
    "token in an address": "address-token-0011",
    "key under a misspelt name": "misspelt-key-0012",
    "key under a name that tells nothing": "misspelt-kye-0013",
    "key as a name in an unknown table": "misspelt-client-key-0014",
    "key in an unknown field of a section": "misspelt-in-a-section-0015",
    "client key": "client-key-of-the-laptop-0007",
    "admin token": "admin-token-admin-token-0008",
    "cookie": "cookie-of-the-browser-0009",
    "wrong client key": "wrong-client-key-0010",
}  # fmt: skip
CLIENT = {"authorization": f"Bearer {SECRETS['client key']}", "cookie": f"a={SECRETS['cookie']}"}
ADMIN = {"authorization": f"Bearer {SECRETS['admin token']}"}


def telling(request: Received) -> Script:
    """Repeats everything it has received."""
    seen = json.dumps({"message": f"I saw {dict(request.headers)} at {request.target}", "type": "odd"})
    return whole(400, b'{"type":"error","error":' + seen.encode() + b"}", headers={"x-echo": "1"})


def telling_as_text(request: Received) -> Script:
    return whole(
        500, f"I saw {dict(request.headers)} at {request.target}".encode(), content_type="text/plain"
    )


def telling_in_its_answer(request: Received) -> Script:
    """The content of a response belongs to the client; no other place may show the key."""
    return answer(Reply(f"I saw {dict(request.headers)} at {request.target}"))(request)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, list[str]]]:
    folder = tmp_path_factory.mktemp("everywhere")
    reported: list[str] = []
    with ScriptedUpstream() as server:
        daemon = Daemon(folder, _document(server), {"KEY_OF_A": SECRETS["key of the environment"]})
        (daemon.data / "admin_token").write_text(SECRETS["admin token"])
        daemon.start("--host", "0.0.0.0", wait=False)
        try:
            wait_until(lambda: _answers(daemon), "the daemon")
            _clients(daemon, server, reported)
            _dashboard(daemon, reported)
        finally:
            daemon.stop()
        yield daemon, reported


def _document(server: ScriptedUpstream) -> dict[str, Any]:
    address = server.url.removeprefix("http://")
    with_password = f"http://user:{SECRETS['password in an address']}@{address}/v1"
    with_key = (
        f"{server.url}/v1?key={SECRETS['key in an address']}&access_token={SECRETS['token in an address']}"
    )
    proxy = f"http://user:{SECRETS['password of a proxy']}@127.0.0.1:9"
    custom = {"x-custom-auth": SECRETS["custom header"]}
    misspelt = {
        "api_kye": [SECRETS["key under a name that tells nothing"]],
        "timeouts": {"idle": 99, "kye": SECRETS["key in an unknown field of a section"]},
    }
    entries = [
        upstream("literal", server.url, "messages", headers=custom) | {"key": SECRETS["literal key"]},
        upstream("odd", server.url, "chat", api_key=SECRETS["key under a misspelt name"], **misspelt)
        | {"key": SECRETS["key without a form"]},
        upstream("environment", with_password, "responses") | {"key": "env:KEY_OF_A"},
        upstream("address", with_key, "chat") | {"key": "env:KEY_OF_A"},
        upstream("behind", server.url, "chat", proxy=proxy, models=["behind"]) | {"key": "env:KEY_OF_A"},
    ]
    return settings(
        *entries,
        client_keys={SECRETS["client key"]: "laptop"},
        client_kyes={SECRETS["key as a name in an unknown table"]: "laptop"},
        failover={
            "error_threshold": 1000,
            "cooldown_seconds": 1,
            "max_cooldown_seconds": 1,
            "api_kye": SECRETS["key in an unknown field of a section"],
            "session_hours": 0,
        },
    )


def _answers(daemon: Daemon) -> bool:
    try:
        return daemon.get("/api").status == 200
    except OSError:
        return False


def _clients(daemon: Daemon, server: ScriptedUpstream, reported: list[str]) -> None:
    daemon.post("/api/capture", {"mode": "all"}, ADMIN)
    scripts = [
        answer(Reply("Hi", thinking="hm", calls=(Call("read", {"a": 1}),))),
        telling,
        telling_as_text,
        status(401, f"bad key {SECRETS['literal key']}"),
        fixed(whole(200, b'{"error": "' + SECRETS["literal key"].encode() + b'"}')),
        *(
            FAULTS[name]
            for name in ("reset after headers", "HTML with 200", "garbage records", "error event at once")
        ),
    ]
    for script in scripts:
        server.script(script)
        for protocol in PROTOCOLS:
            for forced in ("literal", "odd", "environment", "address"):
                for stream in (True, False):
                    reported.append(
                        _seen(ask(daemon.url, protocol, f"{forced},m", stream=stream, headers=CLIENT))
                    )
            reported.append(_seen(ask(daemon.url, protocol, stream=True, headers=CLIENT)))
        daemon.post("/api/upstreams/clear", {}, ADMIN)
    server.script(telling_in_its_answer)
    for protocol in PROTOCOLS:
        for forced in ("literal", "odd", "environment", "address"):
            assert ask(daemon.url, protocol, f"{forced},m", headers=CLIENT).status == 200
    reported.append(_seen(ask(daemon.url, "chat", "behind,behind", headers=CLIENT)))
    reported.append(_seen(ask(daemon.url, "chat", headers={"x-api-key": SECRETS["wrong client key"]})))
    body = question("messages", "m")
    reported.append(_seen(request(daemon.url, "POST", f"{PATHS['messages']}/count_tokens", body, CLIENT)))
    reported.append(_seen(daemon.get("/v1/models", CLIENT)))


def _dashboard(daemon: Daemon, reported: list[str]) -> None:
    def get(path: str) -> Any:
        response = daemon.get(path, ADMIN)
        reported.append(_seen(response))
        return (
            response.json
            if response.status == 200 and "json" in (response.header("content-type") or "")
            else {}
        )

    def post(path: str, document: dict[str, Any]) -> Any:
        response = daemon.post(path, document, ADMIN)
        reported.append(_seen(response))
        return response.json

    revision = get("/api/configs")["revision"]
    for name in ("literal", "odd", "environment", "address", "behind"):
        post("/api/upstreams/test", {"name": name})
        post("/api/upstreams/check", {"name": name, "entry": {"base_url": "http://h:99999"}})
        post("/api/upstreams/activate", {"name": name})
        revision = post("/api/upstreams/toggle", {"revision": revision, "name": name, "enabled": True})[
            "revision"
        ]
        revision = post(
            "/api/upstreams/update", {"revision": revision, "name": name, "changes": {"note": "n"}}
        )["revision"]
    post("/api/upstreams/add", {"revision": revision, "entry": {"name": "literal", "base_url": 5}})
    post("/api/settings", {"revision": revision, "changes": {"client_keys": {}}})
    post("/api/export", {})
    for one in get("/api/requests")["requests"]:
        get(f"/api/requests/{one['id']}")
        for number in range(len(get(f"/api/requests/{one['id']}/capture").get("sent", ()))):
            get(f"/api/requests/{one['id']}/capture?number={number}")
            for side in ("received", "sent", "answer", "delivered"):
                get(f"/api/requests/{one['id']}/capture/{side}?number={number}")
    versions = get("/api/history")["versions"]
    for version in versions:
        get(f"/api/history/diff?from={version['id']}")
    for path in ("/health", "/api/state", "/api/week", "/api/explain?model=m", "/api/token-stats", "/api/clients",
                 "/api/token-stats.csv?by=upstream", "/api/no-such", "/", "/token-stats.html", "/metrics"):  # fmt: skip
        get(path)
    post(
        "/api/import",
        {"upstreams": [{"name": "literal", "base_url": "http://h", "key": SECRETS["literal key"]}]},
    )
    reported.append(_events(daemon))


def _events(daemon: Daemon) -> str:
    reported = []
    with closing(
        http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS)
    ) as connection:
        connection.request("GET", "/api/events", headers=ADMIN)
        with connection.getresponse() as response, suppress(TimeoutError):
            reported.append(response.read1(65536))
            connection.sock.settimeout(2)
            reported.append(response.read1(65536))
    assert reported
    return b"".join(reported).decode()


def _seen(response: Response) -> str:
    return f"{response.status} {response.headers} " + response.body.decode(errors="replace")


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_reported_or_written(run: tuple[Daemon, list[str]], name: str) -> None:
    daemon, reported = run
    secret = SECRETS[name]
    spellings = {secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret)[1:-1])[1:-1]}

    for one in reported:
        for spelled in spellings:
            assert spelled not in one, one[max(0, one.find(spelled) - 300) :][:400]
    written = daemon.all_written().replace(SECRETS["admin token"], "", 1)  # its own file
    assert not [spelled for spelled in spellings if spelled in written]


def test_the_run_was_a_mixed_one(run: tuple[Daemon, list[str]]) -> None:
    daemon, reported = run
    outcomes = {line["outcome"] for line in daemon.journal()}

    assert {"ok", "failed"} <= outcomes
    assert len(reported) > 200 and len(daemon.journal()) > 150


def test_files_are_private_to_their_owner(run: tuple[Daemon, list[str]]) -> None:
    daemon, _ = run
    paths = [daemon.data, *daemon.data.rglob("*")]

    assert [str(path) for path in paths if _mode_of(path) & 0o077] == []


def _mode_of(path: Path) -> int:
    """0 if a temporary file of a save has just got its name."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def test_nothing_of_it_is_in_the_list_of_processes(tmp_path: Path) -> None:
    key = SECRETS["literal key"]
    with Daemon(tmp_path, settings(upstream("a", "http://127.0.0.1:9") | {"key": key})) as daemon:
        assert key.encode() not in Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
        assert key.encode() not in Path(f"/proc/{daemon.pid}/environ").read_bytes()

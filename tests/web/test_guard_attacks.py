"""Attacks of a page in the user's browser, and of a stranger on the network, on the endpoints."""

import asyncio
from typing import Any

import pytest

from switchyard.settings import Settings
from switchyard.web.asgi import Event, Receive, Scope, Send, respond
from switchyard.web.guard import Guard

PORT = 5101
TOKEN = "a-token-long-enough"


async def answer_all(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, 200, [], b"secret")


class Reply:
    def __init__(self, events: list[Event]) -> None:
        self.status: int = events[0]["status"]
        self.headers = dict(events[0]["headers"])


def ask(
    *headers: tuple[str, str],
    method: str = "GET",
    path: str = "/api/configs",
    query: str = "",
    admin_token: str = "",
    **settings: Any,
) -> Reply:
    """The guard's answer to a request with exactly these headers."""
    reported: list[Event] = []

    async def receive() -> Event:
        return {"type": "http.request", "body": b""}

    async def send(event: Event) -> None:
        reported.append(event)

    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": "http",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    guard = Guard(
        answer_all,
        lambda: Settings(**settings),
        lambda method, path: path.startswith("/v1/"),
        admin_token=admin_token,
    )

    async def ask() -> None:
        await guard(scope, receive, send)

    asyncio.run(ask())
    return Reply(reported)


OURS = ("host", f"localhost:{PORT}")

FOREIGN_HOSTS = [
    "",
    "evil.example",
    f"localhost.evil.example:{PORT}",
    "127.0.0.1.nip.io",
    f"127.0.0.1:{PORT}@evil.example",
    "evil@127.0.0.1",
    "localhost@evil.example",
    "localhost,evil.example",
    "localhost evil.example",
    "localhost\tevil",
    "loc\talhost",
    "localhost?evil.example",
    "localhost#evil.example",
    "localhost/evil",
    "localhost\\evil",
    "localhost:80:80",
    "localhost:99999",
    "localhost:5101x",
    "lo%63alhost",
    "[::1",
    "::1",
    "[::1%25lo]",
    "[::ffff:127.0.0.1]",
    "[localhost]",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0.0.0.0",
    "0",
    "localho\u00c5\u00bft",
    "*",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_name_that_is_not_exactly_allowed_is_refused(host: str) -> None:
    assert ask(("host", host)).status == 403


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5101", "localhost.", "127.0.0.1:1", "[::1]", "[::1]:5101"]
)
def test_our_own_names_are_served(host: str) -> None:
    assert ask(("host", host)).status == 200


def test_no_host_and_several_hosts_are_refused() -> None:
    assert ask().status == 403
    assert ask(OURS, OURS).status == 403
    assert ask(OURS, ("host", "evil.example")).status == 403


FOREIGN_ORIGINS = [
    "null",
    "file://",
    "http://",
    "http://[",
    "http://[::1",
    "http://localhost",
    f"https://localhost:{PORT}",
    f"http://127.0.0.1:{PORT}",
    "http://localhost:3000",
    f"http://localhost:{PORT}@evil.example",
    f"http://evil.example#@localhost:{PORT}",
    f"http://user@localhost:{PORT}",
    f"http://localhost:{PORT}/",
    f"http://localhost:{PORT} http://evil.example",
    f"http://localhost:{PORT}.evil.example",
    "chrome-extension://abcdefgh",
    "\u00ff",
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_origin_is_refused(origin: str, method: str) -> None:
    assert ask(OURS, ("origin", origin), method=method).status == 403


def test_a_second_header_does_not_hide_behind_a_harmless_first_one() -> None:
    own = ("origin", f"http://localhost:{PORT}")
    assert ask(OURS, own).status == 200
    assert ask(OURS, own, ("origin", "https://evil.example")).status == 403
    assert ask(OURS, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")).status == 403


def fetched(site: str, mode: str = "no-cors", destination: str = "empty") -> tuple[tuple[str, str], ...]:
    return (("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", destination))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "anything"])
@pytest.mark.parametrize("destination", ["empty", "script", "image", "iframe", "document", "worker"])
def test_what_a_foreign_page_fetches_or_frames_is_refused(site: str, destination: str) -> None:
    for mode in ("no-cors", "cors", "navigate"):
        assert ask(OURS, *fetched(site, mode, destination)).status == 403
        assert ask(OURS, *fetched(site, mode, destination), method="POST").status == 403


def test_a_link_to_the_dashboard_works_and_nothing_else_does() -> None:
    link = fetched("cross-site", "navigate", "document")

    assert ask(OURS, *link, path="/").status == 200
    assert ask(OURS, *link, path="/", method="POST").status == 403
    assert ask(OURS, *fetched("cross-site", "navigate", "iframe"), path="/").status == 403
    assert ask(OURS, *link, path="/api/configs").status == 403
    assert ask(OURS, *link, path="/api/events").status == 403


def test_no_answer_invites_other_origins() -> None:
    for headers in ((OURS,), (("host", "evil.example"),)):
        assert not [name for name in ask(*headers).headers if name.startswith(b"access-control-")]


# --- beyond loopback ------------------------------------------------------------


@pytest.mark.parametrize(
    "shown",
    [
        (),
        (("authorization", f"Bearer {TOKEN}x"),),
        (("authorization", "Bearer "),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", f"Bearer {TOKEN[:-1]}"),),
        (("cookie", f"other={TOKEN}"),),
        (("cookie", "switchyard_admin="),),
        (("cookie", "switchyard_admin=\u00ff\u00fe"),),
        (("x-api-key", TOKEN),),
    ],
)
def test_without_the_token_the_dashboard_is_closed(shown: tuple[tuple[str, str], ...]) -> None:
    assert ask(OURS, *shown, admin_token=TOKEN, client_keys={"k": "laptop"}).status == 401


def test_the_token_opens_it_and_leaves_a_cookie_that_no_script_reads() -> None:
    for shown in (("authorization", f"Bearer {TOKEN}"), ("cookie", f"a=b; switchyard_admin={TOKEN}")):
        assert ask(OURS, shown, admin_token=TOKEN, client_keys={"k": "laptop"}).status == 200
    visit = ask(OURS, path="/", query=f"token={TOKEN}", admin_token=TOKEN)

    assert visit.status == 303
    assert visit.headers[b"set-cookie"].endswith(b"; HttpOnly; SameSite=Strict; Path=/")


def test_a_visit_with_the_token_is_led_nowhere_else() -> None:
    visit = ask(OURS, path="/\r\nset-cookie: a=b\u4e2d", query=f"token={TOKEN}", admin_token=TOKEN)

    away = ask(OURS, path="//evil.example/", query=f"token={TOKEN}", admin_token=TOKEN)

    assert away.headers[b"location"] == b"/evil.example/"
    assert visit.headers[b"location"] == b"/%0D%0Aset-cookie%3A%20a%3Db%E4%B8%AD"


def test_when_the_last_client_key_is_taken_out_the_endpoints_close_to_the_network() -> None:
    assert ask(OURS, path="/v1/models", admin_token=TOKEN, client_keys={"k": "laptop"}).status == 200
    assert ask(OURS, path="/v1/models", admin_token=TOKEN).status == 401

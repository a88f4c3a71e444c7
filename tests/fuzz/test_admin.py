"""Any request to the dashboard's API gets a response: no internal error, and never without end."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route

from switchyard.application import Application
from switchyard.store.settings_file import SettingsFile
from switchyard.web.asgi import Event, Scope
from tests.bed.daemon import settings, upstream
from tests.bed.patience import PATIENCE_SECONDS
from tests.fuzz.material import fuzzed, leaves, values

ROOT = Path(__file__).resolve().parents[2]
FOLLOWED = "/api/events"
"""endless by design"""
FIELDS = """
name entry changes revision model before enabled label key id version client action options upstream mode minutes on
keys upstreams headers proxy base_url models weekdays hours timeouts activation budget failover prices model_rules
""".split()
QUERY = ["client", "model", "at", "session", "from", "to", "by", "dry_run", "limit", "after_id"]
SOUND: list[Any] = [
    "a",
    "b",
    "claude",
    "messages",
    "down",
    5,
    True,
    None,
    "2026-11-25",
    "mon 09:00",
    "day",
    {"name": "a"},
]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("fuzzed")
    document = settings(upstream("a", "http://127.0.0.1:9", "chat"), upstream("b", "http://127.0.0.1:9"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOME", str(folder))
        patched.setenv("USERPROFILE", str(folder))
        (folder / "all_configs.json").write_text(json.dumps(document))
        settings_file = SettingsFile(folder)
        settings_file.load()
        yield Application(settings_file, folder, ROOT / "static")


async def ask(application: Application, method: str, path: str, query: str, body: bytes, last: bytes) -> int:
    reported: list[Event] = []

    parts = iter([body])

    async def receive() -> Event:
        """The body, and then nothing of a client that stays."""
        for part in parts:
            return {"type": "http.request", "body": part}
        await asyncio.Event().wait()
        return {}

    async def send(event: Event) -> None:
        reported.append(event)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"anthropic-version", last)]
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": "",
        "scheme": "http",
        "query_string": query.encode(),
        "headers": headers,
    }
    async with asyncio.timeout(PATIENCE_SECONDS):
        await application.asgi(scope, receive, send)
    return int(reported[0]["status"])


@fuzzed
@given(st.data())
def test_every_path_answers_any_request(application: Application, data: st.DataObject) -> None:
    routes = [
        route for route in application.admin.routes if isinstance(route, Route) and route.path != FOLLOWED
    ]
    for route in data.draw(st.lists(st.sampled_from(routes), min_size=8, max_size=8)):
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        value = st.sampled_from(SOUND) | leaves | values
        revision = st.just(application.settings_file.revision)
        body = data.draw(
            st.dictionaries(st.sampled_from(FIELDS), value, max_size=6)
            | st.fixed_dictionaries(
                {"revision": revision, "name": st.just("a")},
                optional={"entry": value, "changes": value, "before": value, "enabled": value},
            )
            | values
        )
        query = data.draw(
            st.dictionaries(
                st.sampled_from(QUERY),
                st.text(max_size=8) | st.sampled_from(["0001-01-01", "9999-12-31", "²", "9" * 5000]),
                max_size=3,
            )
        )
        path = route.path.replace("{id}", data.draw(st.text(max_size=5)))
        asked = ask(
            application, method, path, urlencode(query, errors="replace"), json.dumps(body).encode(), b"x"
        )
        assert asyncio.run(asked) < 600

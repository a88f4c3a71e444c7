"""The list of models, from the places where services keep it."""

import asyncio
import json

import pytest

from switchyard.relay.model_names import NoList, fetch_model_names, list_urls
from switchyard.settings import Upstream
from tests.bed.dependencies import bed_of
from tests.bed.upstream import Answer, Received, Script, ScriptedUpstream, fixed, status, whole

LIST = whole(200, json.dumps({"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]}).encode())


def names_of(upstream: Upstream) -> tuple[str, ...]:
    async def scenario() -> tuple[str, ...]:
        bed = bed_of(upstream)
        try:
            return await fetch_model_names(bed.dependencies, upstream)
        finally:
            await bed.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("base", "place"),
    [
        ("", "/v1/models"),
        ("/openai/v1", "/openai/v1/models"),
        ("/anthropic", "/v1/models"),
        ("/x/v3", "/models"),
    ],
)
def test_the_names_are_found_and_cost_one_get_each(base: str, place: str) -> None:
    def script(request: Received) -> Script:
        return LIST if (request.method, request.path) == ("GET", place) else status(404)(request)

    with ScriptedUpstream(status(500)) as server:
        server.on_get = script
        found = names_of(Upstream(name="u", base_url=server.url + base, protocol="messages", key="sk-of-u"))
        assert not server.requests
        assert {one.method for one in server.probes} == {"GET"}
        assert "sk-of-u" in str(server.probes[-1].headers)
    assert found == ("b", "a")


@pytest.mark.parametrize(
    ("url", "first"),
    [
        ("https://api.deepseek.com/anthropic", "https://api.deepseek.com/models"),
        ("https://open.bigmodel.cn/api/anthropic", "https://open.bigmodel.cn/api/paas/v4/models"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api/v1/models"),
    ],
)
def test_known_services_are_asked_at_their_own_place_first(url: str, first: str) -> None:
    assert next(list_urls(Upstream(name="u", base_url=url))) == first


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(401, "bad key"), "answered 401 to the question for its list of models"),
        (fixed(whole(200, b"<html></html>")), "answered something else than a list of models"),
        (fixed(whole(200, b'{"data": [{"name": 1}]}')), "answered something else than a list of models"),
    ],
)
def test_an_upstream_without_a_list_is_reported(answer: Answer, message: str) -> None:
    with ScriptedUpstream(status(500)) as server, pytest.raises(NoList, match=message):
        server.on_get = answer
        names_of(Upstream(name="u", base_url=server.url, key="k"))


def test_a_key_that_is_missing_is_reported_without_asking() -> None:
    with ScriptedUpstream(status(500)) as server:
        with pytest.raises(NoList, match="variable SWITCHYARD_NO_SUCH_KEY is not set"):
            names_of(Upstream(name="u", base_url=server.url, key="env:SWITCHYARD_NO_SUCH_KEY"))
        assert not server.probes

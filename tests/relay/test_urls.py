from typing import Any

import pytest

from switchyard.protocols.names import ProtocolName
from switchyard.relay.urls import passed_url, request_url, sibling_urls
from switchyard.settings import Upstream


def upstream(protocol: ProtocolName, base: str, **more: Any) -> Upstream:
    return Upstream(name="u", base_url=base, protocol=protocol, **more)


@pytest.mark.parametrize(
    ("protocol", "base", "url"),
    [
        ("messages", "https://h/test/api", "https://h/test/api/v1/messages"),
        ("messages", "https://h/test/api/", "https://h/test/api/v1/messages"),
        ("messages", "https://h/test/api/v1", "https://h/test/api/v1/messages"),
        ("messages", "https://h/test/api/v1/messages", "https://h/test/api/v1/messages"),
        ("messages", "https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("messages", "https://h/anthropic", "https://h/anthropic/v1/messages"),
        ("messages", "https://h/api?key=1", "https://h/api/v1/messages?key=1"),
        ("chat", "http://h:8000", "http://h:8000/v1/chat/completions"),
        ("chat", "http://h:8000/v1", "http://h:8000/v1/chat/completions"),
        ("chat", "http://h:8000/v1/", "http://h:8000/v1/chat/completions"),
        ("chat", "http://h:8000/v1/chat/completions", "http://h:8000/v1/chat/completions"),
        ("chat", "https://h/api/paas/v4", "https://h/api/paas/v4/chat/completions"),
        ("chat", "https://h/v1beta", "https://h/v1beta/chat/completions"),
        ("chat", "https://h/v1beta/openai/", "https://h/v1beta/openai/chat/completions"),
        (
            "chat",
            "https://h/v1/account/gateway/compat",
            "https://h/v1/account/gateway/compat/chat/completions",
        ),
        ("chat", "https://h/video", "https://h/video/v1/chat/completions"),
        ("messages", "https://h/v1/account/anthropic", "https://h/v1/account/anthropic/v1/messages"),
        ("chat", "https://h/compatible", "https://h/compatible/v1/chat/completions"),
        ("chat", "https://h/custom/chat/completions", "https://h/custom/chat/completions"),
        ("responses", "https://h/v1", "https://h/v1/responses"),
        ("responses", "https://h", "https://h/v1/responses"),
        ("responses", "https://h/openai", "https://h/openai/responses"),
        ("responses", "https://h/codex/v1", "https://h/codex/v1/responses"),
        ("responses", "https://h/openai/v1/responses", "https://h/openai/v1/responses"),
    ],
)
def test_every_form_of_base_url_leads_to_the_endpoint(protocol: ProtocolName, base: str, url: str) -> None:
    assert request_url(upstream(protocol, base), "m") == url


@pytest.mark.parametrize(
    ("base", "more", "url"),
    [
        ("http://h:8000", {}, "http://h:8000/v1/embeddings"),
        ("https://h/v1beta/openai/", {}, "https://h/v1beta/openai/embeddings"),
        ("https://h/custom/chat/completions?key=1", {}, "https://h/custom/embeddings?key=1"),
        (
            "https://x.openai.azure.com",
            {"auth": "api-key", "api_version": "2024-10-21"},
            "https://x.openai.azure.com/openai/deployments/m/embeddings?api-version=2024-10-21",
        ),
    ],
)
def test_an_endpoint_beside_that_for_conversations_has_the_same_form(
    base: str, more: dict[str, Any], url: str
) -> None:
    assert passed_url(upstream("chat", base, **more), "m", "embeddings", "") == url


def test_queries_of_the_base_and_of_the_client_are_kept() -> None:
    found = request_url(upstream("messages", "https://h?a=1"), "m", "/count_tokens", "beta=true")
    assert found == "https://h/v1/messages/count_tokens?a=1&beta=true"


@pytest.mark.parametrize(
    ("base", "client", "query"),
    [
        ("", "", ""),
        ("?a=1&a=2&flag", "b=x%20y&b=z+z", "?a=1&a=2&flag&b=x%20y&b=z+z"),
        ("?a=1&b=2", "b=3", "?a=1&b=3"),
        ("?key=a%26b", "beta", "?key=a%26b&beta"),
    ],
)
def test_a_query_stays_as_it_was_written(base: str, client: str, query: str) -> None:
    found = request_url(upstream("messages", f"https://h/v1{base}"), "m", "", client)
    assert found == f"https://h/v1/messages{query}"


def test_an_api_version_of_the_entry_holds_above_all() -> None:
    entry = upstream("chat", "https://h/v1?api-version=1&a=1", api_version="2 3")
    assert request_url(entry, "m", "", "api-version=0&b=2").endswith("?a=1&b=2&api-version=2%203")


@pytest.mark.parametrize(
    ("protocol", "base", "url"),
    [
        (
            "chat",
            "https://r.openai.azure.com",
            "https://r.openai.azure.com/openai/deployments/gpt%204/chat/completions",
        ),
        (
            "chat",
            "https://r.openai.azure.com/openai/v1",
            "https://r.openai.azure.com/openai/deployments/gpt%204/chat/completions",
        ),
        ("chat", "https://r/openai/deployments/d", "https://r/openai/deployments/d/chat/completions"),
        ("responses", "https://r.openai.azure.com", "https://r.openai.azure.com/openai/responses"),
    ],
)
def test_azure_has_its_own_form_with_an_api_version(protocol: ProtocolName, base: str, url: str) -> None:
    azure = upstream(protocol, base, auth="api-key", api_version="2025-04-01-preview")
    assert request_url(azure, "gpt 4") == f"{url}?api-version=2025-04-01-preview"


def test_siblings_are_the_other_usual_forms() -> None:
    assert sibling_urls(upstream("chat", "https://h/v1"), "m") == (
        "https://h/chat/completions",
        "https://h/api/v1/chat/completions",
        "https://h/openai/v1/chat/completions",
    )

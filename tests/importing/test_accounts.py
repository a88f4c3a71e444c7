"""Accounts of the relay service become upstreams."""

from typing import Any

import pytest

from switchyard.importing import from_accounts, is_accounts
from switchyard.settings_validation import parse


def one(account: dict[str, Any]) -> dict[str, Any]:
    imported = from_accounts([{"name": "a", **account}])
    parse(imported.document)
    (upstream,) = imported.document["upstreams"]
    return {field: upstream[field] for field in upstream if field not in ("name", "enabled")}


def ccr(**fields: Any) -> dict[str, Any]:
    upstream = one({"apiUrl": "https://a.example", "apiKey": "k", **fields})
    return {field: upstream[field] for field in upstream if field not in ("base_url", "key", "protocol")}


@pytest.mark.parametrize(
    ("account", "upstream"),
    [
        (
            {
                "azureEndpoint": "https://r.openai.azure.com",
                "deploymentName": "dep",
                "apiKey": "k",
                "apiVersion": "2024-02-01",
                "supportedModels": ["gpt-4", "gpt-4o"],
            },
            {
                "base_url": "https://r.openai.azure.com",
                "protocol": "chat",
                "model": "dep",
                "auth": "api-key",
                "api_version": "2024-02-01",
                "key": "k",
                "models": ["gpt-4", "gpt-4o"],
            },
        ),
        (
            {"azureEndpoint": "https://r.openai.azure.com/", "deploymentName": "dep", "apiKey": "k"},
            {
                "base_url": "https://r.openai.azure.com/",
                "protocol": "chat",
                "model": "dep",
                "auth": "api-key",
                "api_version": "2024-10-21",
                "key": "k",
            },
        ),
        (
            {
                "azureEndpoint": "https://r.openai.azure.com/openai/deployments/d2/chat/completions?api-version=v9",
                "apiKey": "k",
            },
            {
                "base_url": "https://r.openai.azure.com",
                "protocol": "chat",
                "model": "d2",
                "auth": "api-key",
                "api_version": "v9",
                "key": "k",
            },
        ),
        (
            {"azureEndpoint": "https://r.openai.azure.com/openai/v1", "deploymentName": "dep", "apiKey": "k"},
            {
                "base_url": "https://r.openai.azure.com/openai/v1",
                "protocol": "chat",
                "model": "dep",
                "auth": "api-key",
                "key": "k",
            },
        ),
        (
            {
                "azureEndpoint": "http://127.0.0.1:8000",
                "deploymentName": "qwen3",
                "apiKey": "",
                "supportedModels": ["claude-sonnet-4-5-20250929"],
            },
            {
                "base_url": "http://127.0.0.1:8000",
                "protocol": "chat",
                "model": "qwen3",
                "key": "",
                "models": ["claude-sonnet-4-5-20250929"],
            },
        ),
    ],
)
def test_azure_accounts_keep_their_url_form_and_local_servers_get_theirs(
    account: dict[str, Any], upstream: dict[str, Any]
) -> None:
    assert one(account) == upstream


def test_a_ccr_account_is_mapped_whole() -> None:
    imported = from_accounts(
        [
            {
                "name": "vllm",
                "apiUrl": "http://10.0.0.2:8000/v1",
                "apiKey": "k",
                "supportedModels": {"claude-*": "qwen"},
                "priority": "80",
                "userAgent": "mine/1",
                "proxy": {"type": "socks5", "host": "h", "port": 1080, "username": "u@", "password": "p:"},
                "apiFormat": "openai",
                "responseFormat": "claude",
                "maxConcurrency": 50,
                "rateLimitPerMinute": 100,
                "customHeaders": {"X-A": "b"},
                "timeout": 60000,
                "description": "the big one",
                "dailyQuota": 5,
                "isActive": "true",
                "id": "8c2f",
                "weird": 1,
            }
        ]
    )
    assert imported.document["upstreams"] == [
        {
            "name": "vllm",
            "base_url": "http://10.0.0.2:8000/v1",
            "protocol": "chat",
            "key": "k",
            "enabled": True,
            "models": {"claude-*": "qwen"},
            "priority": 80,
            "user_agent": "mine/1",
            "proxy": "socks5://u%40:p%3A@h:1080",
            "max_concurrency": 50,
            "requests_per_minute": 100,
            "headers": {"X-A": "b"},
            "timeouts": {"first_byte": 60, "idle": 60},
            "budget": {"day_hard": 5},
            "note": "the big one",
            "weird": 1,
        }
    ]
    assert imported.notes == ()
    assert parse(imported.document).warnings == ("$.upstreams[0].weird: unknown field, kept without effect",)


@pytest.mark.parametrize(
    ("fields", "protocol"),
    [
        ({}, "messages"),
        ({"apiFormat": "openai"}, "chat"),
        ({"apiFormat": "claude"}, "messages"),
        ({"apiFormat": "openai-responses"}, "responses"),
    ],
)
def test_the_format_of_an_account_is_its_protocol(fields: dict[str, Any], protocol: str) -> None:
    assert one({"apiUrl": "https://a.example", **fields})["protocol"] == protocol


def test_an_account_of_the_responses_type_is_known_by_its_address() -> None:
    assert one({"baseApi": "https://a.example/openai", "apiKey": "k"}) == {
        "base_url": "https://a.example/openai",
        "protocol": "responses",
        "key": "k",
    }


@pytest.mark.parametrize(
    ("fields", "upstream"),
    [
        ({"supportedModels": {}}, {}),
        ({"supportedModels": []}, {}),
        ({"supportedModels": '["a", "b"]'}, {"models": ["a", "b"]}),
        ({"supportedModels": "a, b"}, {"models": ["a", "b"]}),
        ({"proxy": "http://h:1"}, {"proxy": "http://h:1"}),
        ({"proxy": '{"protocol": "http", "host": "h", "port": "1"}'}, {"proxy": "http://h:1"}),
        ({"proxy": None}, {}),
        ({"proxy": "127.0.0.1:7890"}, {"proxy": "http://127.0.0.1:7890"}),
        ({"proxy": {"type": "SOCKS5", "host": "::1", "port": 1080}}, {"proxy": "socks5://[::1]:1080"}),
        ({"supportedModels": True}, {}),
        ({"priority": 500}, {"priority": 100}),
        ({"maxConcurrentTasks": "3"}, {"max_concurrency": 3}),
        ({"timeout": "1500"}, {"timeouts": {"first_byte": 1.5, "idle": 1.5}}),
        ({"timeout": "soon"}, {}),
        ({"customHeaders": [{"name": "X-A", "value": "b"}]}, {"headers": {"X-A": "b"}}),
        *(
            (fields, {"keys": ["sk-1", "sk-2"]})
            for fields in (
                {"apiKey": "sk-1\nsk-2\n"},
                {"apiKey": " sk-1, sk-2,sk-1"},
                {"apiKey": ["sk-1", "sk-2"]},
                {"apiKey": "", "apiKeys": ["sk-1", "sk-2"]},
                {"apiKey": "sk-1", "api_keys": "sk-2"},
            )
        ),
    ],
)
def test_fields_are_read_in_every_spelling(fields: dict[str, Any], upstream: dict[str, Any]) -> None:
    assert ccr(**fields) == upstream


@pytest.mark.parametrize("flag", [{"isActive": False}, {"isActive": "false"}, {"schedulable": False}])
def test_an_account_that_was_off_stays_off(flag: dict[str, Any]) -> None:
    imported = from_accounts([{"name": "a", "apiUrl": "https://a.example", **flag}])
    assert imported.document["upstreams"][0]["enabled"] is False


@pytest.mark.parametrize(
    "wrap", [lambda a: a, lambda a: [a], lambda a: {"accounts": [a]}, lambda a: {"data": [a]}]
)
def test_one_account_and_an_array_of_them_are_both_taken(wrap: Any) -> None:
    document = wrap({"name": "a", "apiUrl": "https://a.example", "apiKey": "k"})
    assert is_accounts(document)
    assert [entry["name"] for entry in from_accounts(document).document["upstreams"]] == ["a"]


@pytest.mark.parametrize("document", [[], {}, [1], {"name": "a"}, None, {"upstreams": []}])
def test_other_documents_are_no_accounts(document: Any) -> None:
    assert not is_accounts(document)


def test_five_hundred_accounts_of_one_name_get_names_of_their_own() -> None:
    accounts = [{"name": "a", "apiUrl": "https://a.example", "apiKey": f"k{number}"} for number in range(500)]
    imported = from_accounts(accounts)
    assert len(parse(imported.document).settings.upstreams) == 500


def test_an_account_without_address_is_skipped_with_a_note() -> None:
    imported = from_accounts([{"name": "a", "apiUrl": "", "apiKey": "k"}, 5])
    assert (imported.document["upstreams"], imported.notes) == (
        [],
        (
            'accounts[0] "a": skipped, it has no http(s) address',
            "accounts[1]: skipped, it is not an object",
        ),
    )


@pytest.mark.parametrize(
    "proxy", ["socks4://h:1", {"type": "socks4", "host": "h", "port": 1}, "somewhere", "null"]
)
def test_an_account_whose_proxy_cannot_be_used_is_off_rather_than_sent_without(proxy: Any) -> None:
    imported = from_accounts([{"name": "a", "apiUrl": "https://a.example", "apiKey": "k", "proxy": proxy}])
    parse(imported.document)
    (upstream,) = imported.document["upstreams"]
    assert (upstream["enabled"], "proxy" in upstream) == (False, False)
    assert imported.notes == (
        'accounts[0] "a": its proxy is of an unknown kind; enter it again and enable it',
    )


@pytest.mark.parametrize(
    ("fields", "without_effect"),
    [
        ({"timeout": "a minute"}, "timeout"),
        ({"priority": "high", "maxConcurrency": True}, "maxConcurrency, priority"),
        ({"apiFormat": "gemini"}, "apiFormat"),
        ({"rateLimitPerMinute": [60], "groupId": "g"}, "groupId, rateLimitPerMinute"),
        ({"dailyQuota": "NaN"}, "dailyQuota"),
    ],
)
def test_a_value_that_says_nothing_is_listed(fields: dict[str, Any], without_effect: str) -> None:
    imported = from_accounts([{"name": "a", "apiUrl": "https://a.example", **fields}])
    assert imported.notes == (f'accounts[0] "a": without effect: {without_effect}',)


@pytest.mark.parametrize(
    "fields", [{"timeout": "60000"}, {"timeout": ""}, {"priority": None}, {"apiFormat": "OpenAI"}]
)
def test_a_value_that_counts_or_is_empty_is_not_listed(fields: dict[str, Any]) -> None:
    assert from_accounts([{"name": "a", "apiUrl": "https://a.example", **fields}]).notes == ()

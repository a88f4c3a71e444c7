"""The config.json of claude-code-router becomes upstreams whose models contain its routes."""

from typing import Any

import pytest

from switchyard.importing import from_router, is_router, merge
from switchyard.protocols.facts import Facts
from switchyard.routing.route import Ask, State, choose_route
from switchyard.routing.rules import find_rule
from switchyard.settings_validation import parse
from tests.routing.test_route import MONDAY_NOON

CONFIG: dict[str, Any] = {
    "APIKEY": "secret",
    "PROXY_URL": "http://127.0.0.1:7890",
    "API_TIMEOUT_MS": 600000,
    "Providers": [
        {
            "name": "deepseek",
            "api_base_url": "https://api.deepseek.com/chat/completions",
            "api_key": "$DEEPSEEK_KEY",
            "models": ["deepseek-chat", "deepseek-reasoner"],
            "transformer": {"use": ["deepseek"], "deepseek-chat": {"use": [["maxtoken", {"max_tokens": 1}]]}},
        },
        {
            "name": "ollama",
            "api_base_url": "http://localhost:11434/v1/chat/completions",
            "api_key": "ollama",
            "models": ["qwen2.5-coder:latest"],
        },
        {
            "name": "claude",
            "api_base_url": "https://api.anthropic.com/v1/messages",
            "api_key": "${CLAUDE_KEY}",
            "models": ["claude-opus-4"],
            "transformer": {"use": ["Anthropic"]},
        },
    ],
    "Router": {
        "default": "deepseek,deepseek-chat",
        "background": "ollama,qwen2.5-coder:latest",
        "think": "deepseek,deepseek-reasoner",
        "longContextThreshold": 60000,
    },
}
LIMITS = {"first_byte": 600, "idle": 600}


def test_providers_become_upstreams_in_an_order_that_serves_the_routes() -> None:
    imported = from_router(CONFIG)
    assert imported.document == {
        "upstreams": [
            {
                "name": "ollama",
                "base_url": "http://localhost:11434/v1/chat/completions",
                "key": "ollama",
                "enabled": True,
                "protocol": "chat",
                "models": ["qwen2.5-coder:latest"],
                "timeouts": LIMITS,
            },
            {
                "name": "claude",
                "base_url": "https://api.anthropic.com/v1/messages",
                "key": "env:CLAUDE_KEY",
                "enabled": True,
                "protocol": "messages",
                "models": ["claude-opus-4"],
                "proxy": "http://127.0.0.1:7890",
                "timeouts": LIMITS,
            },
            {
                "name": "deepseek",
                "base_url": "https://api.deepseek.com/chat/completions",
                "key": "env:DEEPSEEK_KEY",
                "enabled": True,
                "protocol": "chat",
                "models": {
                    "deepseek-chat": "deepseek-chat",
                    "deepseek-reasoner": "deepseek-reasoner",
                    "*": "deepseek-chat",
                },
                "proxy": "http://127.0.0.1:7890",
                "timeouts": LIMITS,
            },
        ],
        "routes": [
            {
                "name": "background",
                "when": {"model": "*claude*haiku*"},
                "upstreams": ["ollama"],
                "model": "qwen2.5-coder:latest",
            },
            {
                "name": "think",
                "when": {"thinking": True},
                "upstreams": ["deepseek"],
                "model": "deepseek-reasoner",
            },
        ],
    }
    assert imported.origins == ("Providers[1]", "Providers[2]", "Providers[0]")
    assert parse(imported.document).warnings == ()


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"api_key": "$A, $B"}, {"keys": ["env:A", "env:B"]}),
        ({"api_key": ["sk-1", "${B}"]}, {"keys": ["sk-1", "env:B"]}),
        ({"api_keys": ["sk-1"]}, {"key": "sk-1"}),
        ({}, {"key": ""}),
    ],
)
def test_a_provider_with_several_keys_becomes_one_upstream(given: Any, fields: Any) -> None:
    provider = {"name": "p", "api_base_url": "https://p.example/v1/chat/completions", **given}
    (upstream,) = from_router({"Providers": [provider]}).document["upstreams"]
    assert {name: upstream[name] for name in ("key", "keys") if name in upstream} == fields
    assert parse({"upstreams": [upstream]}).settings.upstreams[0].keys == tuple(fields.get("keys", ()))


def test_what_has_no_counterpart_is_noted() -> None:
    assert from_router(CONFIG).notes == (
        "APIKEY: has no effect",
        'Providers[0] "deepseek": transformers without effect: deepseek, maxtoken',
        'Router.default: requests for claude-opus-4 go to "claude", as it lists them',
        "Router.think: became a rule; not for requests that turn thinking off",
    )


def test_a_transformer_that_may_mean_another_protocol_is_pointed_out() -> None:
    provider = {
        "name": "g",
        "api_base_url": "http://g.example",
        "transformer": {"use": ["gemini-cli", "sampling"]},
    }
    assert from_router({"Providers": [provider]}).notes == (
        'Providers[0] "g": transformers without effect: sampling',
        'Providers[0] "g": unknown transformers: gemini-cli; test it before use',
    )


def test_a_default_route_may_also_be_the_background() -> None:
    config = {
        "Providers": [{"name": "a", "api_base_url": "http://a.example", "models": ["m", "n"]}],
        "Router": {"default": "a,m", "background": "a,n"},
    }
    document = from_router(config).document
    (upstream,) = document["upstreams"]
    assert upstream["models"] == {"m": "m", "n": "n", "*": "m"}
    assert [(rule["upstreams"], rule["model"]) for rule in document["routes"]] == [(["a"], "n")]


def test_every_route_that_depends_on_the_request_becomes_a_rule() -> None:
    provider = {"name": "a", "api_base_url": "http://a.example", "models": ["m"]}
    routes = {
        "default": "a,m",
        "image": "a,i",
        "webSearch": "a,w",
        "longContext": "a,l",
        "longContextThreshold": 9000,
        "think": "a,t",
        "custom": "a,c",
    }
    imported = from_router({"Providers": [provider], "Router": routes})
    assert [(one["name"], one["when"], one["model"]) for one in imported.document["routes"]] == [
        ("image", {"images": True}, "i"),
        ("longContext", {"tokens_over": 9000}, "l"),
        ("webSearch", {"web_search": True}, "w"),
        ("think", {"thinking": True}, "t"),
    ]
    assert imported.notes == (
        "Router.image: became a rule; images anywhere in the conversation count, not only in the last message",
        "Router.longContext: became a rule; an estimate of the prompt counts, not the usage of the last answer",
        "Router.webSearch: became a rule; only where web search is the only tool",
        "Router.think: became a rule; not for requests that turn thinking off",
        "Router.custom: not supported",
    )
    document, report = merge(
        {"upstreams": [{"name": "a", "base_url": "http://b", "protocol": "chat"}]}, imported
    )
    assert {tuple(one["upstreams"]) for one in document["routes"]} == {("a (2)",)}
    assert report.settings[0] == "routes: image -> a (2)"
    assert parse(document).warnings == ()
    assert merge(document, imported)[0]["routes"] == document["routes"]


EVERY_ROUTE = {
    "default": "a,default",
    "background": "b,background",
    "think": "C, think",
    "longContext": "d,long",
    "webSearch": "e,search",
    "image": "f,image",
}


@pytest.mark.parametrize(
    ("model", "facts", "expected"),
    [
        ("claude-sonnet-4-5", {}, ("a", "default")),
        ("gpt-5.5", {}, ("a", "default")),
        ("claude-haiku-4-5", {}, ("b", "background")),
        ("anthropic/claude-3-5-haiku-latest", {}, ("b", "background")),
        ("haiku", {}, ("a", "default")),
        ("claude-sonnet-4-5", {"thinking": True}, ("c", "think")),
        ("claude-sonnet-4-5", {"tokens": 60_001}, ("d", "long")),
        ("claude-sonnet-4-5", {"tokens": 60_000}, ("a", "default")),
        ("claude-sonnet-4-5", {"web_search": True}, ("e", "search")),
        ("claude-sonnet-4-5", {"images": True}, ("f", "image")),
        # where several match, the order of claude-code-router decides
        ("claude-haiku-4-5", {"thinking": True}, ("b", "background")),
        ("claude-haiku-4-5", {"web_search": True}, ("b", "background")),
        ("claude-haiku-4-5", {"tokens": 70_000}, ("d", "long")),
        ("claude-sonnet-4-5", {"web_search": True, "thinking": True}, ("e", "search")),
        ("claude-sonnet-4-5", {"tokens": 70_000, "web_search": True}, ("d", "long")),
        ("claude-sonnet-4-5", {"tokens": 70_000, "images": True}, ("f", "image")),
        ("claude-sonnet-4-5", {"subagent": True}, ("a", "default")),
    ],
)
def test_each_request_goes_where_its_router_sent_it(
    model: str, facts: dict[str, Any], expected: tuple[str, str]
) -> None:
    providers = [
        {"name": name, "api_base_url": f"http://{name}.example/v1", "models": ["m"]} for name in "abcdef"
    ]
    settings = parse(from_router({"Providers": providers, "Router": EVERY_ROUTE}).document).settings
    ruled = find_rule(settings.routes, "messages", model, Facts(**facts), MONDAY_NOON.wall)
    ask = Ask("messages", model, ruled=ruled)
    first = choose_route(settings, State(), ask, MONDAY_NOON).candidates[0]
    assert (first.name, first.model) == expected


@pytest.mark.parametrize("threshold", [0, -1, "many", None, True])
def test_a_threshold_that_means_nothing_is_the_default_one(threshold: Any) -> None:
    router = {"longContext": "a,l", "longContextThreshold": threshold}
    providers = [{"name": "a", "api_base_url": "http://a.example"}]
    (rule,) = from_router({"Providers": providers, "Router": router}).document["routes"]
    assert rule["when"] == {"tokens_over": 60_000}


def test_a_provider_that_lists_a_claude_model_is_pointed_out() -> None:
    providers = [
        {"name": "c", "api_base_url": "http://c.example"},
        {"name": "a", "api_base_url": "http://a.example", "models": ["m", "claude-own"]},
        {"name": "b", "api_base_url": "http://b.example", "models": ["claude-sonnet-4-5", "x"]},
    ]
    imported = from_router({"Providers": providers, "Router": {"default": "a,m"}})
    assert imported.notes == ('Router.default: requests for claude-sonnet-4-5 go to "b", as it lists them',)
    # without a list it would take the requests of the default route
    assert [one["name"] for one in imported.document["upstreams"]] == ["b", "a", "c"]


def test_the_native_gemini_address_is_replaced_by_its_openai_form() -> None:
    config = {
        "Providers": [
            {
                "name": "g",
                "api_base_url": "https://generativelanguage.googleapis.com/v1beta/models/",
                "api_key": "k",
                "models": ["gemini-2.5-pro"],
                "transformer": {"use": ["gemini"]},
            }
        ]
    }
    imported = from_router(config)
    assert imported.document["upstreams"][0]["base_url"] == (
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
    )
    assert imported.notes[0] == 'Providers[0] "g": uses the OpenAI form of the Gemini API'


def test_a_proxy_that_cannot_be_used_leaves_the_provider_off() -> None:
    providers = [{"name": name, "api_base_url": f"http://{name}"} for name in ("a.example", "localhost:1")]
    imported = from_router({"PROXY_URL": "socks4://h:1", "Providers": providers})
    assert [entry["enabled"] for entry in imported.document["upstreams"]] == [False, True]
    assert imported.notes == (
        'Providers[0] "a.example": PROXY_URL is of an unknown kind; enter its proxy and enable it',
    )


def test_a_route_to_nowhere_and_a_provider_without_address_are_noted() -> None:
    config = {"Providers": [{"name": "a"}, 5], "Router": {"default": "b,m"}}
    assert from_router(config).notes == (
        "Providers[1]: skipped, it is not an object",
        'Providers[0] "a": skipped, it has no http(s) address',
        'Router.default: skipped, no provider "b"',
    )
    providers = [{"name": "b", "api_base_url": "http://b.example"}]
    assert from_router({"Providers": providers, "Router": {"think": "b"}}).notes == (
        'Router.think: skipped, no model of "b" is given',
    )


@pytest.mark.parametrize(
    ("document", "answer"),
    [({"Providers": []}, True), ({"Router": {}}, True), ({"upstreams": []}, False), ([], False)],
)
def test_its_file_is_reported_by_its_fields(document: Any, answer: bool) -> None:
    assert is_router(document) is answer


@pytest.mark.parametrize("junk", [None, 5, "x", [], {}, [None], {"a": 5}])
def test_junk_is_survived(junk: Any) -> None:
    parse(from_router({"Providers": junk, "Router": junk}).document)
    provider = {"name": "a", "api_base_url": "http://a.example", "models": junk, "transformer": junk}
    parse(from_router({"Providers": [provider]}).document)

"""The settings file is decoded into values, and every error is named."""

from typing import Any

import pytest

from switchyard.faults import SettingsError
from switchyard.settings import (
    CLAUDE_SONNET,
    ERROR_KINDS,
    Activation,
    Failover,
    ModelRule,
    Settings,
    TextRule,
    TimeoutOverrides,
    Upstream,
)
from switchyard.settings_validation import SENDABLE, parse

SECRET = "sk-do-not-show-this"


def entry(**fields: Any) -> dict[str, Any]:
    return {"name": "a", "base_url": "https://a.example", "protocol": "chat", **fields}


def faults_of(document: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(document)
    return [str(fault) for fault in caught.value.faults]


def faults_of_entry(**fields: Any) -> list[str]:
    return [fault.removeprefix("$.upstreams[0]") for fault in faults_of({"upstreams": [entry(**fields)]})]


def test_the_example_of_the_documentation_is_read_whole() -> None:
    document = {
        "$schema": "./all_configs.schema.json",
        "upstreams": [
            {
                "name": "Monday key",
                "base_url": "https://api-provider-1.example.com",
                "key": "sk-...",
                "protocol": "messages",
                "clients": ["messages", "chat"],
                "role": "backup",
                "enabled": False,
                "weekdays": ["mon"],
                "hours": "08:00-23:30",
                "priority": 100,
                "models": {"claude-sonnet-4-5-*": "qwen3-235b", "gpt-4o": "qwen3-32b"},
                "auth": "x-api-key",
                "headers": {"X-Custom-Auth": "..."},
                "user_agent": "mine",
                "proxy": "socks5://127.0.0.1:1080",
                "timeouts": {"first_byte": 120},
                "max_concurrency": 50,
                "requests_per_minute": 100,
                "activation": {"at": "08:00"},
                "context_window": 131072,
                "note": "n",
            }
        ],
        "model_rules": [{"from": "claude-3-5-haiku-*", "to": CLAUDE_SONNET}],
        "failover": {"error_threshold": 2, "on_status": {"429": "switch", "default": "retry"}},
        "timeouts": {"connect": 5},
        "client_keys": {"123": "my laptop"},
    }
    assert parse(document).warnings == ()
    assert parse(document).settings == Settings(
        upstreams=(
            Upstream(
                name="Monday key",
                base_url="https://api-provider-1.example.com",
                key="sk-...",
                protocol="messages",
                clients=("messages", "chat"),
                role="backup",
                enabled=False,
                weekdays=("mon",),
                hours="08:00-23:30",
                priority=100,
                models={"claude-sonnet-4-5-*": "qwen3-235b", "gpt-4o": "qwen3-32b"},
                auth="x-api-key",
                headers={"X-Custom-Auth": "..."},
                user_agent="mine",
                proxy="socks5://127.0.0.1:1080",
                timeouts=TimeoutOverrides(first_byte=120),
                max_concurrency=50,
                requests_per_minute=100,
                activation=Activation(at="08:00"),
                context_window=131072,
                note="n",
            ),
        ),
        model_rules=(ModelRule(source="claude-3-5-haiku-*", to=CLAUDE_SONNET),),
        failover=Failover(error_threshold=2, on_status={"429": "switch", "default": "retry"}),
        timeouts=TimeoutOverrides(connect=5),
        client_keys={"123": "my laptop"},
    )


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"priority": 0}, [".priority: expected a whole number from 1 to 100, found 0"]),
        ({"priority": "50"}, ['.priority: expected a whole number from 1 to 100, found "50"']),
        ({"enabled": "yes"}, ['.enabled: expected true or false, found "yes"']),
        ({"role": "main"}, ['.role: expected one of "primary", "backup", "rescue", found "main"']),
        (
            {"clients": ["chat", "foo"]},
            ['.clients[1]: expected one of "messages", "chat", "responses", found "foo"'],
        ),
        ({"models": {"a": 1}}, ['.models["a"]: expected text, found 1']),
        ({"models": "x"}, ['.models: expected an object or a list, found "x"']),
        ({"hours": "8-9"}, ['.hours: expected local times such as 08:00-23:30, found "8-9"']),
        (
            {"activation": {"at": "24:00"}},
            ['.activation.at: expected a local time such as 08:30, found "24:00"'],
        ),
        ({"activation": {}}, [".activation.at: expected text, found nothing"]),
        (
            {"timeouts": {"idle": -1}},
            [".timeouts.idle: expected a number above 0 and at most 86400, found -1"],
        ),
        (
            {"base_url": "a.example"},
            ['.base_url: expected an http:// or https:// address, found "a.example"'],
        ),
        (
            {"base_url": "ftp://me:pw@a"},
            [".base_url: expected an http:// or https:// address, found (not shown)"],
        ),
        ({"key": "env:"}, ['.key: expected a name behind env:, found "env:"']),
        (
            {"key": "sk-1", "keys": ["sk-1", "sk-2"]},
            [".key: expected nothing, as `keys` is set, found (not shown)"],
        ),
        (
            {"keys": []},
            [".keys: expected at least one key; an entry without one has no `keys`, found none"],
        ),
        (
            {"keys": ["sk-1", "sk-2", "sk-1"]},
            [".keys[2]: expected another key, found the same as [0]"],
        ),
        (
            {"keys": ["", "client", "env:"]},
            [
                '.keys[0]: expected a key, env:NAME or keyring:NAME, found ""',
                '.keys[1]: expected a key, env:NAME or keyring:NAME, found "client"',
                '.keys[2]: expected a name behind env:, found "env:"',
            ],
        ),
        ({"keys": "sk-1"}, [".keys: expected a list, found (not shown)"]),
        ({"name": " "}, ['.name: expected a name in one line, found " "']),
        ({"headers": {"a b": "c"}}, ['.headers["a b"]: expected the name of a header, found "a b"']),
        *(
            ({"user_agent": agent}, [f".user_agent: expected {SENDABLE}, found {found}"])
            for agent, found in (
                ("a\nb", '"a\\nb"'),
                ("a\r\nx-key: b", '"a\\r\\nx-key: b"'),
                ("机器", '"机器"'),
            )
        ),
        *(
            ({"headers": {"x": value}}, [f'.headers["x"]: expected {SENDABLE}, found (not shown)'])
            for value in ("a\nb", "a\r", "\0", "\x1b[2J", "值")
        ),
        ({"capabilities": {"tools": 1}}, [".capabilities.tools: expected true or false, found 1"]),
        (
            {"capabilities": {"tolls": True}},
            ['.capabilities.tolls: expected the name of a capability, found "tolls"; did you mean `tools`?'],
        ),
    ],
)
def test_errors_of_an_upstream_have_its_path(fields: dict[str, Any], faults: list[str]) -> None:
    assert faults_of_entry(**fields) == faults


@pytest.mark.parametrize(
    "fields",
    [
        {"key": 5},
        {"key": SECRET + "\n"},
        {"keys": [SECRET, SECRET + "\n"]},
        {"keys": [5, SECRET]},
        {"key": SECRET, "keys": [SECRET]},
        {"headers": {"x-key": SECRET + "\r\nx: y"}},
        {"headers": SECRET},
        {"proxy": "nowhere " + SECRET},
        {"proxy": f"socks5://me:{SECRET}@h:99999"},
        {"base_url": f"https://user:{SECRET}@"},
    ],
)
def test_a_secret_never_appears_in_an_error(fields: dict[str, Any]) -> None:
    found = " ".join(faults_of_entry(**fields))
    assert "(not shown)" in found and SECRET not in found


def test_the_name_of_an_entry_is_not_that_of_another_ones_key() -> None:
    entries = [entry(name="a", keys=["sk-1", "sk-2"]), entry(name="a (key 2)"), entry(name="a (key 3)")]
    assert faults_of({"upstreams": entries}) == [
        '$.upstreams[1].name: expected another name, found "a (key 2)", a key of $.upstreams[0]'
    ]


def test_each_key_of_an_entry_is_an_account_with_a_name_of_its_own() -> None:
    found = parse(
        {"upstreams": [entry(name="a", keys=["sk-1", "env:B"]), entry(name="b", key="sk-3")]}
    ).settings
    named = [(one.account, one.key_label, one.key) for one in found.accounts]
    assert named == [("a (key 1)", "key 1", "sk-1"), ("a (key 2)", "key 2", "env:B"), ("b", "", "sk-3")]
    first = found.upstreams[0]
    assert (first.account, first.siblings) == ("a", ("a (key 1)", "a (key 2)"))
    assert [one.accounts for one in found.accounts] == [(one,) for one in found.accounts]
    assert [one.siblings for one in found.accounts] == [first.siblings, first.siblings, ("b",)]
    assert found.account("a (key 2)") == found.accounts[1] and found.account("a (key 3)") is None


def test_the_keys_of_clients_never_appear_in_a_path() -> None:
    assert faults_of({"client_keys": {SECRET: 1}}) == [
        '$.client_keys["(not shown)"]: expected text, found (not shown)'
    ]


@pytest.mark.parametrize("key", ["", " ", " " + SECRET])
def test_a_client_key_that_cannot_be_sent_is_an_error(key: str) -> None:
    assert faults_of({"client_keys": {key: "laptop"}}) == [
        '$.client_keys["(not shown)"]: expected a key that is not empty, without spaces around it, found (not shown)'
    ]


def test_all_errors_are_reported_at_once() -> None:
    document = {
        "upstreams": [entry(priority=0), entry(hours="x"), 7, {"name": "b", "base_url": "https://b.example"}],
        "model_rules": [{"from": "", "to": "x"}, {"from": "x"}],
        "failover": {"on_status": {"429": "swich", "999": "switch"}, "on_error": {"foo": "switch"}},
        "timeouts": [],
    }
    assert faults_of(document) == [
        "$.upstreams[0].priority: expected a whole number from 1 to 100, found 0",
        '$.upstreams[1].hours: expected local times such as 08:00-23:30, found "x"',
        "$.upstreams[2]: expected an object, found 7",
        '$.upstreams[1].name: expected a name of its own, found "a", as $.upstreams[0] has',
        '$.upstreams[3].protocol: expected one of "messages", "chat", "responses", found nothing',
        '$.model_rules[0].from: expected a model name or a pattern such as gpt-4*, found ""',
        "$.model_rules[1].to: expected text that is not empty, found nothing",
        '$.failover.on_status.429: expected one of "switch", "retry", "rescue", "return", found "swich"',
        '$.failover.on_status.999: expected a status such as "429" or "5xx", or "default", found "999"',
        "$.failover.on_error.foo: expected one of "
        + ", ".join(f'"{kind}"' for kind in ERROR_KINDS)
        + ', found "foo"',
        "$.timeouts: expected an object, found []",
    ]


@pytest.mark.parametrize("seconds", [0, 0.5, 86400])
def test_cooldowns_and_the_hold_may_be_switched_off_and_last_a_day(seconds: float) -> None:
    parsed = parse(
        {"failover": {"cooldown_start_seconds": seconds, "hold_seconds": seconds}}
    ).settings.failover
    assert (parsed.cooldown_start_seconds, parsed.hold_seconds) == (seconds, seconds)


def test_actions_by_the_text_of_an_error_are_read_in_their_order() -> None:
    rules = [{"match": "负载过高", "action": "switch"}, {"match": "no such", "action": "return"}]
    assert parse({"failover": {"on_text": rules}}).settings.failover.on_text == (
        TextRule(match="负载过高", action="switch"),
        TextRule(match="no such", action="return"),
    )


@pytest.mark.parametrize(
    ("failover", "faults"),
    [
        (
            {"cooldown_start_seconds": -1, "hold_seconds": 86401},
            [
                "$.failover.cooldown_start_seconds: expected a number from 0 to 86400, found -1",
                "$.failover.hold_seconds: expected a number from 0 to 86400, found 86401",
            ],
        ),
        ({"on_text": {"busy": "switch"}}, ['$.failover.on_text: expected a list, found {"busy":"switch"}']),
        (
            {
                "on_text": [
                    {"match": "", "action": "switch"},
                    {"match": " ", "action": "swich"},
                    {"match": "x"},
                ]
            },
            [
                '$.failover.on_text[0].match: expected text that is not empty, found ""',
                '$.failover.on_text[1].match: expected text that is not empty, found " "',
                '$.failover.on_text[1].action: expected one of "switch", "retry", "rescue", "return", found "swich"',
                '$.failover.on_text[2].action: expected one of "switch", "retry", "rescue", "return", found nothing',
            ],
        ),
    ],
)
def test_errors_of_the_failover_settings_are_named(failover: dict[str, object], faults: list[str]) -> None:
    assert faults_of({"failover": failover}) == faults


def test_unknown_fields_are_reported_beside_the_errors() -> None:
    with pytest.raises(SettingsError) as caught:
        parse({"upstreams": [entry(priorty=5, role="main")], "failovr": {}})
    assert caught.value.lines() == (
        '$.upstreams[0].role: expected one of "primary", "backup", "rescue", found "main"',
        "note: $.failovr: unknown field, kept without effect; did you mean `failover`?",
        "note: $.upstreams[0].priorty: unknown field, kept without effect; did you mean `priority`?",
    )


def test_an_unknown_capability_is_an_error_with_the_nearest_name() -> None:
    capabilities = {"image": False, "top_k": True, "nonsense": 1}
    assert faults_of({"upstreams": [entry(capabilities=capabilities)]}) == [
        '$.upstreams[0].capabilities.image: expected the name of a capability, found "image"; did you mean `images`?',
        '$.upstreams[0].capabilities.nonsense: expected the name of a capability, found "nonsense"',
    ]


def test_unknown_fields_are_warned_of() -> None:
    document = {"upstreams": [entry(priorty=5)], "$schema": "x"}
    assert parse(document).warnings == (
        "$.upstreams[0].priorty: unknown field, kept without effect; did you mean `priority`?",
    )


def test_a_name_that_no_request_can_match_is_warned_of() -> None:
    document = {
        "upstreams": [
            entry(models={"claude-x[1m]": "long", "claude-x": "short[1m]"}),
            entry(name="b", models=["glm-*[1M]", "glm-5"]),
        ],
        "model_rules": [{"from": "gpt-5[1m]", "to": "m"}, {"from": "gpt-5", "to": "m[1m]"}],
        "routes": [
            {"when": {"model": "claude-y[1m]"}, "model": "m"},
            {"when": {"model": ["claude-y", "*[1m]"]}, "model": "m[1m]"},
        ],
    }
    reason = "no request matches, as [1m] is taken off the names that clients send"
    assert parse(document).warnings == tuple(
        f"$.{path}: {reason}"
        for path in (
            'upstreams[0].models["claude-x[1m]"]',
            "upstreams[1].models[0]",
            "model_rules[0].from",
            "routes[0].when.model",
            "routes[1].when.model[1]",
        )
    )


@pytest.mark.parametrize(
    ("document", "path", "limit"),
    [
        ({"upstreams": [entry(name="x" * 301)]}, "$.upstreams[0].name", 300),
        ({"routes": [{"when": {}, "model": "m", "name": "名" * 101}]}, "$.routes[0].name", 100),
        ({"routes": [{"when": {}, "model": "m" * 301}]}, "$.routes[0].model", 300),
    ],
)
def test_a_text_that_is_too_long_is_an_error_with_its_limit(
    document: dict[str, Any], path: str, limit: int
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(document)
    assert [(fault.path, fault.expected) for fault in caught.value.faults] == [
        (path, f"text of at most {limit} characters")
    ]


@pytest.mark.parametrize("url", ["htp://h/v1?key=hidden", ["http://h/v1?key=hidden"], "http://u:hidden@h:x"])
def test_a_key_in_an_invalid_address_is_not_shown(url: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({"upstreams": [{"name": "a", "protocol": "chat", "base_url": url}]})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("document", [None, [], 1, "x"])
def test_a_file_that_is_no_object_is_an_error(document: Any) -> None:
    with pytest.raises(SettingsError):
        parse(document)


def test_a_hold_of_suspicious_calls_needs_low_trust() -> None:
    entry = {"name": "a", "base_url": "https://h", "protocol": "chat", "on_suspicion": "hold"}
    with pytest.raises(SettingsError) as raised:
        parse({"upstreams": [entry]})
    assert [fault.path for fault in raised.value.faults] == ["$.upstreams[0].on_suspicion"]
    assert parse({"upstreams": [{**entry, "trust": "low"}]}).settings.upstreams[0].on_suspicion == "hold"


def test_a_header_may_hold_what_http_carries() -> None:
    fields = {"user_agent": "é/1.0\t(x)", "headers": {"x": " é\t", "y": ""}}
    assert parse({"upstreams": [entry(**fields)]}).settings.upstreams[0].user_agent == "é/1.0\t(x)"

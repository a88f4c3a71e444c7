"""A file in the legacy format keeps its meaning."""

from typing import Any

import pytest

from switchyard.default_settings import CHAT_MODEL_RULES
from switchyard.importing import from_legacy, is_legacy
from switchyard.settings_validation import parse

ALL_DAYS = [1, 1, 1, 1, 1, 1, 1]
WHOLE = {
    "api_configs": [
        {
            "name": "Monday",
            "base_url": "https://reseller.example",
            "key": "sk-monday-1",
            "type": "primary",
            "enabled": True,
            "time_enabled": [1, 0, 0, 0, 0, 0, 0],
            "activation_enabled": True,
            "activation_time": "8:00",
            "created_at": "2025-10-31T09:37:03.296231",
        },
        {
            "name": "Pool",
            "base_url": "http://pool.example:3000/api",
            "key": "cr_1",
            "type": "backup",
            "enabled": False,
            "time_enabled": ALL_DAYS,
            "activation_enabled": False,
            "activation_time": "08:00",
        },
    ],
    "codex_configs": [
        {"name": "Pool", "base_url": "http://pool.example:3000/openai", "key": "cr_1", "type": "primary"}
    ],
    "openai_to_claude_configs": [
        {
            "name": "Pool",
            "base_url": "http://pool.example:3000/api",
            "key": "cr_1",
            "type": "openai_to_claude",
        }
    ],
    "retry_configs": [{"name": "1st", "base_url": "http://pool.example:3000/api", "key": "cr_1"}],
    "model_conversions": [
        {
            "name": "Haiku to Sonnet",
            "source_model": "claude-3-5-haiku-20241022",
            "target_model": "claude-sonnet-4-5-20250929",
            "conversion_type": "full_format",
            "enabled": True,
        },
        {
            "source_model": "gpt-5-codex",
            "target_model": "gpt-5.1",
            "conversion_type": "simple_rename",
        },
        {"source_model": "a", "target_model": "b", "conversion_type": "simple_rename", "enabled": False},
    ],
    "timeout_settings": {
        "connect_timeout": 30,
        "write_timeout": 60,
        "streaming_read_timeout": 90,
        "non_streaming_read_timeout": 299.0,
        "api_cooldown_seconds": 600,
        "api_error_threshold": 3,
        "codex_base_timeout": 60,
        "codex_connect_timeout": 20,
        "codex_error_threshold": 3,
        "strategy_retry_read_timeout": 200,
        "updated_at": "2025-11-18T10:08:19.802308",
    },
    "error_handling_strategies": {
        "http_status_codes": {
            "401": "switch_api",
            "404": "normal_retry",
            "429": "strategy_retry",
            "default": "x",
        },
        "network_errors": {
            "ReadError": "normal_retry",
            "ConnectError": "switch_api",
            "ReadTimeout": "strategy_retry",
            "default": "switch_api",
        },
    },
    "optimization_settings": {"enable_cache_control_limit": True},
}


def test_the_whole_file_is_mapped() -> None:
    imported = from_legacy(WHOLE)
    assert imported.document == {
        "$schema": "./all_configs.schema.json",
        "upstreams": [
            {
                "name": "Monday",
                "base_url": "https://reseller.example",
                "key": "sk-monday-1",
                "protocol": "messages",
                "clients": ["messages"],
                "role": "primary",
                "enabled": True,
                "weekdays": ["mon"],
                "activation": {"at": "08:00"},
            },
            {
                "name": "Pool",
                "base_url": "http://pool.example:3000/api",
                "key": "cr_1",
                "protocol": "messages",
                "clients": ["messages"],
                "role": "backup",
                "enabled": False,
            },
            {
                "name": "Pool (2)",
                "base_url": "http://pool.example:3000/openai",
                "key": "cr_1",
                "protocol": "responses",
                "clients": ["responses"],
                "role": "primary",
                "enabled": True,
                "timeouts": {"connect": 20, "idle": 60},
            },
            {
                "name": "Pool (3)",
                "base_url": "http://pool.example:3000/api",
                "key": "cr_1",
                "protocol": "messages",
                "clients": ["chat"],
                "role": "primary",
                "enabled": True,
            },
            {
                "name": "1st",
                "base_url": "http://pool.example:3000/api",
                "key": "cr_1",
                "protocol": "messages",
                "clients": ["messages"],
                "role": "rescue",
                "enabled": True,
                "timeouts": {"first_byte": 200},
            },
        ],
        "model_rules": [
            {"from": "claude-3-5-haiku-20241022", "to": "claude-sonnet-4-5-20250929"},
            {"from": "gpt-5-codex", "to": "gpt-5.1"},
            *CHAT_MODEL_RULES,
            {**CHAT_MODEL_RULES[0], "from": "gpt-*"},
        ],
        "timeouts": {"connect": 30, "idle": 90, "first_byte": 299},
        "failover": {
            "on_status": {"401": "switch", "404": "return", "429": "rescue"},
            "on_error": {
                "read": "return",
                "connect": "switch",
                "first_byte_timeout": "rescue",
                "idle_timeout": "rescue",
                "default": "switch",
            },
            "cooldown_seconds": 600,
            "error_threshold": 3,
        },
    }
    assert parse(imported.document).warnings == ()


def test_every_change_of_meaning_is_noted() -> None:
    assert from_legacy(WHOLE).notes == (
        'codex_configs[0]: renamed from "Pool" to "Pool (2)", names must be unique',
        'openai_to_claude_configs[0]: renamed from "Pool" to "Pool (3)", names must be unique',
        "model_conversions[2]: skipped, it is disabled (a -> b)",
        "error_handling_strategies.http_status_codes.default: x is unknown",
        "timeout_settings.write_timeout: has no effect",
        "optimization_settings.enable_cache_control_limit: has no effect, applied where needed",
    )


def test_every_upstream_has_its_origin() -> None:
    assert from_legacy(WHOLE).origins == (
        "api_configs[0]",
        "api_configs[1]",
        "codex_configs[0]",
        "openai_to_claude_configs[0]",
        "retry_configs[0]",
    )


def one(**fields: Any) -> dict[str, Any]:
    entry = {"name": "a", "base_url": "https://a.example", "key": "k", **fields}
    (upstream,) = from_legacy({"api_configs": [entry]}).document["upstreams"]
    return {field: upstream[field] for field in upstream if field not in ("name", "protocol", "clients")}


@pytest.mark.parametrize(
    ("fields", "weekdays"),
    [
        ({"time_enabled": [0, 1, "1", "0", True, False, 0]}, ["tue", "wed", "fri"]),
        (
            {"time_enabled": {"monday": 1, "tuesday": 0, "sunday": 1}},
            ["mon", "wed", "thu", "fri", "sat", "sun"],
        ),
        ({"time_enabled": {"mon": 0, "Tue": 1, "wed": 0, "thu": 0, "fri": 0, "sat": 0, "sun": 0}}, ["tue"]),
        ({"time_enabled": {"0": 0, "6": 0}}, ["tue", "wed", "thu", "fri", "sat"]),
        ({"time_enabled": ["Mon", "sunday"]}, ["mon", "sun"]),
        ({"time_enabled": [0, 0]}, ["wed", "thu", "fri", "sat", "sun"]),
        ({"time_enabled": [0] * 7}, []),
        ({"time_enabled": [1] * 7}, None),
        ({"time_enabled": []}, None),
        ({}, None),
    ],
)
def test_weekdays_are_read_in_every_spelling(fields: dict[str, Any], weekdays: list[str] | None) -> None:
    assert one(**fields).get("weekdays") == weekdays


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"base_url": "https://a.example", "key": "k", "role": "primary", "enabled": True}),
        ({"enabled": 0}, {"base_url": "https://a.example", "key": "k", "role": "primary", "enabled": False}),
        (
            {"type": "BACKUP"},
            {"base_url": "https://a.example", "key": "k", "role": "backup", "enabled": True},
        ),
        (
            {"base_url": " https://b.example ", "key": " k2\n", "mine": 1},
            {"base_url": "https://b.example", "key": "k2", "role": "primary", "enabled": True, "mine": 1},
        ),
    ],
)
def test_fields_are_read_tolerantly_and_unknown_ones_kept(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert one(**fields) == expected


def test_an_entry_that_cannot_be_called_does_not_keep_the_others_from_loading() -> None:
    imported = from_legacy(
        {
            "api_configs": [
                {"name": "draft", "base_url": "", "key": ""},
                {"name": "placeholder", "base_url": "https://a.example", "key": "在此填写密钥"},
                {
                    "name": "late",
                    "base_url": "https://a.example",
                    "activation_enabled": 1,
                    "activation_time": "soon",
                },
                {"base_url": "https://a.example"},
                "not an entry",
            ]
        }
    )
    assert [(entry["name"], entry["key"], entry["enabled"]) for entry in imported.document["upstreams"]] == [
        ("placeholder", "", False),
        ("late", "", True),
        ("API-3", "", True),
    ]
    assert imported.notes == (
        "api_configs[4]: skipped, it is not an object",
        'api_configs[0] "draft": skipped, it has no http(s) address',
        'api_configs[1] "placeholder": its key has characters that no key has; enter it again and enable it',
        'api_configs[2] "late": no activation, "soon" is not a time of day',
    )
    parse(imported.document)


@pytest.mark.parametrize(
    "conversions",
    [
        [{"source_model": "a", "target_model": "b"}],
        [{"from": "a", "to": "b"}],
        [{"source": "a", "target": "b", "enabled": True}],
        {"a": "b"},
        {"a": {"target": "b"}},
        {"rule": {"source": "a", "target": "b"}},
    ],
)
def test_model_conversions_are_read_in_every_spelling(conversions: Any) -> None:
    assert from_legacy({"model_conversions": conversions}).document["model_rules"] == [
        {"from": "a", "to": "b"}
    ]


def test_what_is_no_entry_is_named() -> None:
    document = {"api_configs": "x", "retry_configs": [None], "model_conversions": {"a": ["b"]}}
    assert from_legacy(document).notes == (
        "api_configs: skipped, it is not a list",
        "retry_configs[0]: skipped, it is not an object",
        "model_conversions[a]: skipped, it is not an object",
    )


def test_the_single_conversion_entry_of_old_files_is_read() -> None:
    document = {"openai_to_claude_config": {"name": "x", "base_url": "https://a.example", "key": "k"}}
    (upstream,) = from_legacy(document).document["upstreams"]
    assert (upstream["protocol"], upstream["clients"]) == ("messages", ["chat"])


def test_a_timeout_of_any_kind_is_one_word_for_three() -> None:
    strategies = {"network_errors": {"timeout": "strategy_retry"}}
    assert from_legacy({"error_handling_strategies": strategies}).document["failover"] == {
        "on_error": {"connect_timeout": "rescue", "first_byte_timeout": "rescue", "idle_timeout": "rescue"}
    }


@pytest.mark.parametrize("status", ["²²²", "99", "600", "4xx", "9" * 5000])
def test_an_invalid_status_is_noted_and_skipped(status: str) -> None:
    imported = from_legacy(
        {"error_handling_strategies": {"http_status_codes": {status: "switch_api", "429": "switch_api"}}}
    )
    assert imported.document["failover"] == {"on_status": {"429": "switch"}}
    assert [note.rpartition(":")[2] for note in imported.notes] == [" switch_api is unknown"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"base_timeout": 60, "non_streaming_read_timeout": 300}, {"first_byte": 300}),
        ({"non_streaming_read_timeout": 300, "base_timeout": 60}, {"first_byte": 300}),
        ({"base_timeout": 60}, {"first_byte": 60}),
    ],
)
def test_the_base_timeout_holds_where_no_other_is_given(
    limits: dict[str, int], expected: dict[str, int]
) -> None:
    assert from_legacy({"timeout_settings": limits}).document["timeouts"] == expected


def test_thresholds_may_be_among_the_strategies() -> None:
    strategies = {"api_cooldown_seconds": 60, "api_error_threshold": 5}
    assert from_legacy({"error_handling_strategies": strategies}).document["failover"] == {
        "cooldown_seconds": 60,
        "error_threshold": 5,
    }


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        ({"api_configs": []}, True),
        ({"retry_configs": [], "other": 1}, True),
        ({"upstreams": [], "api_configs": []}, False),
        ({}, False),
        ([], False),
    ],
)
def test_the_legacy_format_is_distinguished_from_the_current_one(document: Any, answer: bool) -> None:
    assert is_legacy(document) is answer


@pytest.mark.parametrize("junk", [None, 5, "x", [], {}, [None], [[]], {"a": None}, {"a": 5}])
def test_junk_in_any_section_is_survived(junk: Any) -> None:
    sections = (
        "api_configs",
        "codex_configs",
        "openai_to_claude_configs",
        "retry_configs",
        "model_conversions",
        "timeout_settings",
        "error_handling_strategies",
        "optimization_settings",
    )
    parse(from_legacy(dict.fromkeys(sections, junk)).document)
    parse(
        from_legacy(
            {"error_handling_strategies": {"http_status_codes": junk, "network_errors": junk}}
        ).document
    )

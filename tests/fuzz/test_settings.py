"""Any content of a settings file is accepted or reported as errors, without another exception."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given

from switchyard import importing
from switchyard.default_settings import default_document
from switchyard.faults import SettingsError
from switchyard.settings_text import MARK, decode_text
from switchyard.settings_validation import parse
from switchyard.store.settings_file import encode_document, read_settings
from tests.fuzz.material import damaged, fuzzed, octets, quickly

OURS = {
    **default_document(),
    "upstreams": [
        {
            "name": "a",
            "base_url": "https://h.example/v1",
            "key": "env:KEY",
            "protocol": "chat",
            "clients": ["messages"],
            "role": "backup",
            "weekdays": ["mon"],
            "hours": "22:00-06:00",
            "priority": 7,
            "models": {"claude-*": "x"},
            "headers": {"x-a": "b"},
            "proxy": "socks5://127.0.0.1:1080",
            "timeouts": {"idle": 5},
            "activation": {"at": "08:00"},
        },
        {"name": "b", "base_url": "demo:", "models": ["m"]},
    ],
    "client_keys": {"k": "laptop"},
    "prices": {"m": {"input": 1, "output": 2}},
}
LEGACY = {
    "api_configs": [
        {
            "name": "a",
            "base_url": "https://h",
            "key": "k",
            "type": "primary",
            "enabled": True,
            "time_enabled": [0, 1],
            "activation_enabled": True,
            "activation_time": "08:00",
        }
    ],
    "codex_configs": [{"name": "c", "base_url": "https://h/openai", "key": "k"}],
    "openai_to_claude_configs": [{"name": "a", "base_url": "https://h", "key": "k"}],
    "retry_configs": [{"name": "r", "base_url": "https://h", "key": "k"}],
    "model_conversions": {
        "conversions": [
            {"source_model": "a", "target_model": "b", "conversion_type": "full_format", "enabled": True}
        ]
    },
    "timeout_settings": {"codex_base_timeout": 60, "api_cooldown_seconds": 600},
    "error_handling_strategies": {"http_status_codes": {"429": "switch_api", "default": "normal_retry"}},
    "optimization_settings": {"x": 1},
}
ACCOUNTS = [
    {
        "name": "z",
        "azureEndpoint": "https://a.openai.azure.com",
        "deploymentName": "d",
        "apiKey": "k",
        "supportedModels": ["m"],
    },
    {
        "name": "y",
        "apiUrl": "https://h",
        "apiKey": "k",
        "supportedModels": {"a": "b"},
        "priority": 5,
        "userAgent": "u",
        "proxy": {"type": "socks5", "host": "h", "port": 1},
        "apiFormat": "openai",
        "maxConcurrency": 2,
        "rateLimitPerMinute": 3,
        "customHeaders": [{"key": "a", "value": "b"}],
        "timeout": 1000,
    },
]


@fuzzed
@given(octets(damaged([OURS, LEGACY])))
def test_a_file_is_read_or_its_errors_are_reported(content: bytes) -> None:
    with quickly():
        try:
            loaded = read_settings(content)
        except SettingsError as error:
            assert error.faults and all(str(fault) for fault in error.faults)
            return
        again = read_settings(encode_document(loaded.document))
        assert again.parsed.settings == loaded.parsed.settings


@fuzzed
@given(damaged([OURS]))
def test_a_document_is_parsed_or_its_errors_are_reported(document: Any) -> None:
    with quickly(), suppress(SettingsError):
        parse(document)


@fuzzed
@given(damaged([ACCOUNTS, ACCOUNTS[0], ACCOUNTS[1], LEGACY, OURS]))
def test_a_foreign_file_is_imported_or_refused(foreign: object) -> None:
    with quickly(), suppress(importing.UnknownFormat, SettingsError):
        document, _ = importing.merge(default_document(), importing.recognise(foreign))
        parse(document)


@fuzzed
@given(octets(damaged([OURS])))
def test_bytes_are_a_document_or_an_error(content: bytes) -> None:
    with quickly(), suppress(SettingsError):
        text = decode_text(content)
        assert isinstance(text.document, dict)
        assert text.faults or text.document == json.loads(content.removeprefix(MARK))

"""A key comes from the file, the environment or the keychain, or a message explains why there is none."""

import pytest

from switchyard.relay.credentials import KeyMissing, resolve_key

ENVIRONMENT = {"GOOD": " sk-good\n", "TWO_LINES": "sk-one\r\nx-injected: 1", "CHINESE": "密钥", "EMPTY": ""}


@pytest.mark.parametrize(
    ("key", "resolved"), [("sk-literal", "sk-literal"), ("", ""), ("client", ""), ("env:GOOD", "sk-good")]
)
def test_a_key_is_resolved(key: str, resolved: str) -> None:
    assert resolve_key(key, ENVIRONMENT) == resolved


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("EMPTY", "environment variable EMPTY is not set"),
        ("GONE", "environment variable GONE is not set"),
        ("TWO_LINES", "environment variable TWO_LINES holds no key in one line, in plain ASCII"),
        ("CHINESE", "environment variable CHINESE holds no key in one line, in plain ASCII"),
    ],
)
def test_what_is_no_key_is_reported_without_its_value(name: str, why: str) -> None:
    with pytest.raises(KeyMissing, match=why) as reported:
        resolve_key(f"env:{name}", ENVIRONMENT)
    assert "sk-" not in str(reported.value)

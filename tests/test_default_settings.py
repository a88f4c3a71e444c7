"""The settings of a first start are valid."""

from switchyard.default_settings import default_document
from switchyard.settings import CLAUDE_SONNET
from switchyard.settings_validation import parse


def test_the_file_of_a_first_start_is_valid_and_holds_only_the_demo() -> None:
    document = default_document()
    parsed = parse(document)
    assert next(iter(document)) == "$schema"
    assert parsed.warnings == ()
    assert [(upstream.name, upstream.is_demo) for upstream in parsed.settings.upstreams] == [("demo", True)]


def test_the_shipped_rules_rename_only_for_chat_clients_and_claude_upstreams() -> None:
    rules = parse(default_document()).settings.model_rules
    assert [(rule.source, rule.to, rule.clients, rule.protocols) for rule in rules] == [
        (name, CLAUDE_SONNET, ("chat",), ("messages",))
        for name in ("gpt-4", "gpt-4-turbo*", "gpt-3.5-turbo*")
    ]

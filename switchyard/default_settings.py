"""The settings of a first start."""

from typing import Any

from switchyard.protocols.names import PROTOCOLS
from switchyard.settings import CLAUDE_SONNET, DEMO_URL

CHAT_MODEL_RULES: tuple[dict[str, Any], ...] = tuple(
    {"from": name, "to": CLAUDE_SONNET, "clients": ["chat"], "protocols": ["messages"]}
    for name in ("gpt-4", "gpt-4-turbo*", "gpt-3.5-turbo*")
)
"""the names that programs for the OpenAI API send by default, for upstreams that serve only Claude"""


def default_document() -> dict[str, Any]:
    """The document of a first start: the demo model, to be replaced."""
    return {
        "$schema": "./all_configs.schema.json",
        "upstreams": [
            {
                "name": "demo",
                "base_url": DEMO_URL,
                "key": "",
                "clients": list(PROTOCOLS),
                "enabled": True,
                "note": "Answers until you add an upstream of your own.",
            }
        ],
        "model_rules": [dict(rule) for rule in CHAT_MODEL_RULES],
        "client_keys": {},
        "prices": {},
    }

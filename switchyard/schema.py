"""The JSON Schema of the settings file, for editors: the types of the values, and a sentence for each field."""

from typing import Any

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.settings import DEMO_URL, Settings

TEXTS: dict[str, dict[str, str]] = {
    "Settings": {
        "upstreams": "Where requests may go, in the order in which they are tried.",
        "model_rules": "Renames models before an upstream is chosen; the first rule that fits holds.",
        "failover": "What happens when an upstream fails.",
        "timeouts": "Limits on silence, for all upstreams that set none of their own.",
        "client_keys": "Key -> name of the client that may use it. Empty: programs on this machine may send any key.",
        "prices": "Model name or pattern -> money per million tokens. What is not here comes from the built-in table.",
        "budget": "Money limits for everything together.",
        "allowed_hosts": "Further names by which clients may call the daemon, besides localhost.",
        "max_body_megabytes": "The largest request body, unpacked.",
    },
    "Upstream": {
        "name": "Unique; its identity in logs, statistics and the API.",
        "base_url": 'http(s) address, with or without /v1, or the full endpoint; "demo:" is the embedded demo model.',
        "key": 'The key itself; "env:NAME", "keyring:NAME"; "" for servers without one; '
        '"client" passes the client\'s own on.',
        "protocol": "What it speaks: Anthropic Messages, OpenAI Chat Completions or OpenAI Responses. "
        "Needed unless it is the demo.",
        "clients": "Whose requests it may answer; what speaks another protocol is converted.",
        "role": "primary; backup: only when no primary can answer; rescue: only for failures whose action is rescue.",
        "enabled": "false: never asked.",
        "weekdays": "The days on which it may be asked, local time.",
        "hours": "When it may be asked, as in 08:00-23:30, local time; may cross midnight. Empty: always.",
        "priority": "1-100, larger first. Absent: order of the list, as 50. The same number twice: they take turns.",
        "models": "Empty: every model. A list: only these. A map: the client's name -> the upstream's. "
        "Names or patterns such as claude-*-haiku*.",
        "model": "The name under which all models are sent (deployment name).",
        "auth": "How the key is sent. auto: x-api-key to Anthropic, Bearer elsewhere; api-key is Azure's way.",
        "api_version": "Azure's api-version; with api-key the Azure form of the address is used.",
        "headers": "Further headers of each request.",
        "user_agent": "Empty: the client's own.",
        "proxy": "http://, https:// or socks5:// with host and port.",
        "timeouts": "Limits on silence for this upstream alone.",
        "max_concurrency": "Requests at the same time; 0: no limit.",
        "requests_per_minute": "0: no limit.",
        "activation": "Sends one tiny request at a local time, to start a quota window.",
        "context_window": "Tokens that a request and its answer may have together; 0: unknown.",
        "server": "What is behind the address: decides what is sent, and known local servers get longer for the "
        "first byte. auto looks at the address and learns.",
        "capabilities": "What it can take, where that differs from what is known of its server.",
        "price_multiplier": "On the price table, for resellers.",
        "budget": "Money limits for this upstream; at a hard one it is no longer asked.",
        "note": "For you.",
    },
    "TimeoutOverrides": {
        "connect": "Seconds until the connection must stand. Unset: 10.",
        "first_byte": "Seconds until the answer must begin. Unset: 120, and 600 for known local servers (see server).",
        "idle": "Seconds of silence within an answer. Unset: 300.",
    },
    "Activation": {
        "at": "Local time, such as 08:00.",
        "advance_minutes": "Moves the time by so much after each success; 0: it stays.",
    },
    "Budget": {
        "day_soft": "A warning for each day; 0: none.",
        "day_hard": "The end for each day; 0: none.",
        "month_soft": "A warning for each month; 0: none.",
        "month_hard": "The end for each month; 0: none.",
    },
    "ModelRule": {
        "from": "The name that the client asks for, or a pattern such as claude-3-5-haiku-*.",
        "to": "The name that is looked up instead.",
        "clients": "Whose requests it holds for.",
        "protocols": "What an upstream must speak for the rule to hold for it.",
    },
    "Failover": {
        "error_threshold": "So many failures in a row start a cooldown.",
        "cooldown_start_seconds": "The first cooldown; each further one in a row is twice as long, "
        "up to cooldown_seconds.",
        "cooldown_seconds": "The longest cooldown after failures in a row, and the cooldown after a bad key "
        "or exhausted credit.",
        "max_cooldown_seconds": "The longest cooldown that an upstream may ask for. "
        "The reset of a quota may be up to 7 days away.",
        "hold_seconds": "How long a request is held, and tried again, while every upstream fails in a way that passes; "
        "0: not at all.",
        "on_status": "Status -> action: switch to the next upstream, retry the same one, "
        "ask the rescue upstreams, or return the error.",
        "on_error": "Network error -> action, as for a status.",
        "on_text": "Actions by the text of the error message. The first rule that fits decides, before on_status.",
        "total_seconds": "Time budget for finding an upstream that answers. Unset: 600, more where first_byte is over "
        "120 or hold_seconds over 480.",
        "keep_alive_seconds": "After so much silence the client is sent a sign of life.",
        "queue_seconds": "How long a request may wait for a free place at a full upstream.",
        "session_hours": "How long a conversation keeps its upstream; 0: not at all.",
        "return_to_primary_minutes": "How long a conversation that had to move may stay away "
        "after its own upstream has recovered.",
    },
    "TextRule": {
        "match": "Text that the error message contains, without regard to case.",
        "action": "As for a status.",
    },
    "Price": {
        "input": "Fresh input tokens.",
        "output": "Output tokens, reasoning included.",
        "cache_read": "Input tokens read from the cache.",
        "cache_write_5m": "Input tokens written to the cache for five minutes.",
        "cache_write_1h": "Input tokens written to the cache for an hour.",
        "long_context_over": "Input tokens above which the long prices hold for the whole request; 0: no such tier.",
        "long_input": "Fresh input tokens of a long request.",
        "long_output": "Output tokens of a long request.",
        "long_cache_read": "Input tokens of a long request, read from the cache.",
    },
}

CLOCK = "([01]?[0-9]|2[0-3]):[0-5][0-9]"
PATTERNS: dict[str, dict[str, str]] = {
    "Upstream": {
        "name": r"\S",
        "key": "^([!-~]([ -~]*[!-~])?)?$",
        "base_url": f"^({DEMO_URL}|https?://[^ ]+)$",
        "hours": rf"^(\s*|\s*{CLOCK}\s*-\s*({CLOCK}|24:00)\s*)$",
        "proxy": r"^((https?|socks5h?)://[^/\s]+/?)?$",
    },
    "Activation": {"at": rf"^\s*{CLOCK}\s*$"},
    "TextRule": {"match": r"\S"},
}
"""what an editor can check of the meanings"""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    (root, _), kinds = msgspec.json.schema_components([Settings, Capabilities], ref_template="#/$defs/{name}")
    for kind, texts in TEXTS.items():
        for field, text in texts.items():
            kinds[kind]["properties"][field]["description"] = text
    for kind, patterns in PATTERNS.items():
        for field, pattern in patterns.items():
            kinds[kind]["properties"][field]["pattern"] = pattern
    _complete_upstream(kinds["Upstream"], kinds["Capabilities"])
    kinds["Settings"]["properties"]["$schema"] = {"type": "string", "description": "This schema."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Switchyard settings",
        **root,
        "$defs": kinds,
    }


def _complete_upstream(upstream: dict[str, Any], capabilities: dict[str, Any]) -> None:
    """What the types leave open, and the reader of the file does not."""
    del upstream["properties"]["protocol"]["default"]
    upstream["if"] = {"properties": {"base_url": {"const": DEMO_URL}}}
    upstream["else"] = {"required": ["protocol"]}
    for flag in capabilities["properties"].values():
        del flag["default"]  # it depends on the server
    capabilities["additionalProperties"] = False
    given = upstream["properties"]["capabilities"]
    upstream["properties"]["capabilities"] = {
        "$ref": "#/$defs/Capabilities",
        "description": given["description"],
    }

"""The JSON Schema of the settings file, for editors."""

from typing import Any

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.settings import DEMO_URL, Settings
from switchyard.settings_descriptions import FIELDS, About

CLOCK = "([01]?[0-9]|2[0-3]):[0-5][0-9]"
PATTERNS: dict[str, dict[str, str]] = {
    "Upstream": {
        "name": r"\S",
        "key": "^([!-~]([ -~]*[!-~])?)?$",
        "base_url": f"^({DEMO_URL}|https?://[^ ]+)$",
        "hours": rf"^(\s*|\s*{CLOCK}\s*-\s*({CLOCK}|24:00)\s*)$",
        "proxy": r"^(direct|(https?|socks5h?)://[^/\s]+/?)?$",
    },
    "Tls": dict.fromkeys(("ca", "cert", "key"), r"^([~/].*|\\\\.*|[A-Za-z]:[\\/].*)?$"),
    "Condition": {"hours": rf"^(\s*|\s*{CLOCK}\s*-\s*({CLOCK}|24:00)\s*)$"},
    "Activation": {"at": rf"^\s*{CLOCK}\s*$"},
    "TextRule": {"match": r"\S"},
}
"""the checks beyond types that an editor can apply"""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    (root, _), kinds = msgspec.json.schema_components([Settings, Capabilities], ref_template="#/$defs/{name}")
    for kind, fields in FIELDS.items():
        for name, about in fields.items():
            kinds[kind]["properties"][name] |= _annotations(about)
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


def _annotations(about: About) -> dict[str, Any]:
    """`unit` is an extension, which editors ignore."""
    unit = {"unit": about.unit} if about.unit else {}
    examples = {} if about.example is None else {"examples": [about.example]}
    return {"description": about.text, **examples, **unit}


def _complete_upstream(upstream: dict[str, Any], capabilities: dict[str, Any]) -> None:
    """Constraints that the types do not express, but the decoder of the file applies."""
    del upstream["properties"]["protocol"]["default"]
    keys = upstream["properties"]["keys"]
    del keys["default"]
    keys |= {"minItems": 1, "uniqueItems": True}
    upstream["not"] = {"required": ["key", "keys"], "properties": {"key": {"minLength": 1}}}
    upstream["if"] = {"properties": {"base_url": {"const": DEMO_URL}}}
    upstream["else"] = {"required": ["protocol"]}
    for flag in capabilities["properties"].values():
        default = flag.pop("default")  # it depends on the server
        if flag.get("type") == "boolean":
            flag["examples"] = [not default]
    capabilities["additionalProperties"] = False
    given = upstream["properties"]["capabilities"]
    del given["type"], given["default"]
    given["$ref"] = "#/$defs/Capabilities"

"""Import a .env file with the usual names of keys and addresses."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from switchyard.importing.imported import (
    Imported,
    Json,
    environment_key,
    is_address,
    is_sendable,
)
from switchyard.importing.providers import PROVIDERS, Provider, upstream

LINE = re.compile(
    r"""\s*(?:export\s+|\$env:|set\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*\Z""", re.IGNORECASE
)
QUOTED = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?\Z""")
COMMENT = re.compile(r"\s#.*\Z")
CLAUDE_MODELS = {
    "*opus*": "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "*sonnet*": "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "*haiku*": "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "*": "ANTHROPIC_MODEL",
}
SMALL_MODEL = "ANTHROPIC_SMALL_FAST_MODEL"
"""the older name of the haiku model"""


def variables(text: str) -> dict[str, str]:
    """The variables of a .env file or of shell profile lines; the last value of each wins."""
    found = {}
    for line in text.splitlines():
        if (match := LINE.match(line)) and not line.lstrip().startswith("#"):
            found[match[1]] = _value(match[2])
    return found


def is_dotenv(text: str) -> bool:
    """True if it names at least one key or address."""
    known = {name for provider in PROVIDERS for name in (*provider.keys, *provider.bases)}
    return not known.isdisjoint(variables(text))


def from_dotenv(text: str) -> Imported:
    """One upstream for each provider whose key or address is named."""
    named = variables(text)
    notes: list[str] = []
    found = [_upstream(provider, named, notes) for provider in PROVIDERS]
    upstreams = [(origin, entry) for origin, entry in filter(None, found)]
    document: Json = {"upstreams": [entry for _, entry in upstreams]}
    return Imported(document, tuple(notes), tuple(origin for origin, _ in upstreams))


def claude_models(named: Mapping[str, object]) -> dict[str, str]:
    """What Claude Code's variables say about models, as a map of an upstream."""
    found = {glob: _plain(named.get(name)) for glob, name in CLAUDE_MODELS.items()}
    found["*haiku*"] = found["*haiku*"] or _plain(named.get(SMALL_MODEL))
    return {glob: model for glob, model in found.items() if model}


def _plain(value: object) -> str:
    """A model's name without Claude Code's mark for a long window."""
    return value.strip().removesuffix("[1m]") if isinstance(value, str) else ""


def _upstream(provider: Provider, named: Mapping[str, str], notes: list[str]) -> tuple[str, Json] | None:
    key_name = next((name for name in provider.keys if named.get(name)), "")
    base_name = next((name for name in provider.bases if named.get(name)), "")
    if not (key_name or base_name):
        return None
    base = named.get(base_name) or provider.base_url
    origin = ", ".join(filter(None, (key_name, base_name)))
    if not is_address(base):
        notes.append(f"{base_name}: skipped, it is no http(s) address")
        return None
    key = environment_key(named.get(key_name, ""))
    if not is_sendable(key):
        notes.append(f"{key_name}: it has characters that no key has; enter it again and enable the upstream")
        return origin, upstream(_name(provider, base), base, "", provider.protocol) | {"enabled": False}
    models = claude_models(named) if provider.protocol == "messages" else {}
    return origin, upstream(_name(provider, base), base, key, provider.protocol, models=models)


def _name(provider: Provider, base: str) -> str:
    """The provider's, but the host of an address that is not its own; a server without keys is a program."""
    host = urlsplit(base).hostname or ""
    return provider.name if not provider.keys or host == urlsplit(provider.base_url).hostname else host


def _value(text: str) -> str:
    if quoted := QUOTED.match(text):
        return quoted[2]
    return COMMENT.sub("", text).strip().strip("\"'")

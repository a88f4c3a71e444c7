"""Import the config.json of claude-code-router."""

import re
from typing import Any
from urllib.parse import urlsplit

from switchyard.importing.imported import (
    Imported,
    Json,
    Names,
    entries,
    environment_key,
    first,
    is_address,
    is_sendable,
    key_fields,
    keys_in,
    left_out,
    number,
    proxy_of,
    text,
    tidy,
)

PROTOCOL_OF_TRANSFORMER = {"anthropic": "messages", "openai-responses": "responses"}
NOT_NEEDED = frozenset(
    {"openai", "openrouter", "deepseek", "groq", "cerebras", "gemini", "maxtoken", "maxcompletiontokens"}
    | {"tooluse", "enhancetool", "reasoning", "forcereasoning", "extrathinktag", "sampling", "cleancache"}
    | {"customparams", "streamoptions"}
)
"""Switchyard applies these where an upstream needs them, or has no equivalent"""
NATIVE_GEMINI = "generativelanguage.googleapis.com"
GEMINI_CHAT = "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
KNOWN = frozenset({"Providers", "providers", "Router", "PROXY_URL", "API_TIMEOUT_MS"})
KNOWN_ROUTES = frozenset(
    {"default", "background", "longContext", "longContextThreshold", "webSearch", "think", "image"}
)
KEY_FIELDS = ("api_key", "apiKey", "api_keys", "apiKeys")
KNOWN_FIELDS = frozenset({"name", "api_base_url", "baseUrl", *KEY_FIELDS, "models", "transformer"})


def is_router(document: Any) -> bool:
    """True for a file with providers, or with routes to them."""
    return isinstance(document, dict) and any(name in document for name in ("Providers", "Router"))


def from_router(document: Json) -> Imported:
    """One upstream for each provider; that of the default route takes any name, and the other routes become rules."""
    routes: Json = document["Router"] if isinstance(document.get("Router"), dict) else {}
    notes = [f"{name}: has no effect" for name in document if name not in KNOWN]
    found: list[tuple[str, Json]] = []
    names = Names()
    providers = first(document, "Providers", "providers", default=[])
    notes += left_out("Providers", providers)
    for place, provider in entries(providers):
        origin = f"Providers[{place}]"
        wanted = text(provider.get("name")) or f"Provider {len(found) + 1}"
        address = text(first(provider, "api_base_url", "baseUrl"))
        if not is_address(address):
            notes.append(f'{origin} "{wanted}": skipped, it has no http(s) address')
            continue
        upstream = _upstream(document, provider, names.unique(wanted[:280]), address, origin, notes)
        found.append((origin, upstream))
    _add_default(found, routes, notes)
    rules = _rules_of(found, routes, notes)
    notes += [
        f"Router.{route}: not supported" for route in routes if route not in KNOWN_ROUTES and routes[route]
    ]
    result: Json = {"upstreams": [upstream for _, upstream in found]}
    if rules:
        result["routes"] = rules
    return Imported(result, tuple(notes), tuple(origin for origin, _ in found))


def _upstream(document: Json, provider: Json, name: str, address: str, origin: str, notes: list[str]) -> Json:
    transformers = _transformers(provider.get("transformer"))
    keys, enabled = list(map(environment_key, keys_in(provider, *KEY_FIELDS))), True
    if not all(map(is_sendable, keys)):
        notes.append(
            f'{origin} "{name}": its key has characters that no key has; enter it again and enable it'
        )
        keys, enabled = [], False
    upstream: Json = {"name": name, "base_url": address, **key_fields(keys), "enabled": enabled}
    upstream["protocol"] = _protocol(transformers, address)
    if NATIVE_GEMINI in address and "openai" not in address:
        upstream["base_url"] = GEMINI_CHAT
        notes.append(f'{origin} "{name}": uses the OpenAI form of the Gemini API')
    models = provider.get("models")
    if isinstance(models, list) and models:
        upstream["models"] = [text(model) for model in models]
    proxy = "" if _is_local(address) else proxy_of(document.get("PROXY_URL"))
    if proxy is None:
        notes.append(f'{origin} "{name}": PROXY_URL is of an unknown kind; enter its proxy and enable it')
        upstream["enabled"] = False
    elif proxy:
        upstream["proxy"] = proxy
    limit = number(document.get("API_TIMEOUT_MS"))
    if limit and limit > 0:
        seconds = tidy(min(limit / 1000, 86400))
        upstream["timeouts"] = {"first_byte": seconds, "idle": seconds}
    dropped = sorted(transformers & NOT_NEEDED)
    if dropped:
        notes.append(f'{origin} "{name}": transformers without effect: {", ".join(dropped)}')
    unknown = sorted(transformers - NOT_NEEDED - PROTOCOL_OF_TRANSFORMER.keys())
    if unknown:
        notes.append(f'{origin} "{name}": unknown transformers: {", ".join(unknown)}; test it before use')
    understood = KNOWN_FIELDS | upstream.keys()
    return upstream | {field: value for field, value in provider.items() if field not in understood}


def _transformers(value: Any) -> set[str]:
    """The names of all transformers, including those of single models."""
    if isinstance(value, str):
        return {value.lower()}
    if isinstance(value, list):
        # an entry with options is a list of its name and the options
        return set().union(
            *(_transformers(item[0] if isinstance(item, list) and item else item) for item in value)
        )
    if isinstance(value, dict):
        return set().union(*(_transformers(item) for item in value.values()))
    return set()


def _protocol(transformers: set[str], address: str) -> str:
    for name, protocol in PROTOCOL_OF_TRANSFORMER.items():
        if name in transformers:
            return protocol
    path = urlsplit(address).path.rstrip("/")
    if path.endswith("/messages"):
        return "messages"
    return "responses" if path.endswith("/responses") else "chat"


def _is_local(address: str) -> bool:
    return (urlsplit(address).hostname or "") in ("localhost", "127.0.0.1", "::1")


CLAUDE = re.compile(r"(?i)claude")
"""names that Claude Code requests by itself"""


def _add_default(found: list[tuple[str, Json]], routes: Json, notes: list[str]) -> None:
    """The upstream of the default route takes any name: it comes after those that list theirs, before the others."""
    if not (target := _target(found, routes, "default", notes)):
        return
    upstream, model = target
    found.sort(key=lambda item: 1 if item[1] is upstream else 0 if item[1].get("models") else 2)
    upstream["models"] = {**{listed: listed for listed in upstream.get("models", [])}, "*": model}
    for _, other in found:
        names = [name for name in other.get("models", []) if CLAUDE.match(name)]
        if names and other is not upstream:
            notes.append(
                f'Router.default: requests for {", ".join(names)} go to "{other["name"]}", as it lists them'
            )


LONG_CONTEXT_TOKENS = 60_000
"""its default `longContextThreshold`"""
RULES: tuple[tuple[str, Json, str], ...] = (
    ("image", {"images": True}, "images anywhere in the conversation count, not only in the last message"),
    ("longContext", {}, "an estimate of the prompt counts, not the usage of the last answer"),
    ("background", {"model": "*claude*haiku*"}, ""),
    ("webSearch", {"web_search": True}, "only where web search is the only tool"),
    ("think", {"thinking": True}, "not for requests that turn thinking off"),
)
"""key of `Router`, condition, and where the meaning differs; in its order, after which `default` applies"""


def _rules_of(found: list[tuple[str, Json]], routes: Json, notes: list[str]) -> list[Json]:
    """The routes that depend on the request, as rules."""
    given = number(routes.get("longContextThreshold"))
    threshold = int(given) if given and given > 0 else LONG_CONTEXT_TOKENS
    rules = []
    for route, condition, differs in RULES:
        if not (target := _target(found, routes, route, notes)):
            continue
        when = condition or {"tokens_over": threshold}
        rules.append({"name": route, "when": when, "upstreams": [target[0]["name"]], "model": target[1]})
        notes += [f"Router.{route}: became a rule; {differs}"] if differs else []
    return rules


def _target(
    found: list[tuple[str, Json]], routes: Json, route: str, notes: list[str]
) -> tuple[Json, str] | None:
    """The upstream and the model of a route; None without one."""
    name, _, model = text(routes.get(route)).partition(",")
    if not name:
        return None
    upstream = next((one for _, one in found if one["name"].lower() == name.strip().lower()), None)
    if upstream is not None and model.strip():
        return upstream, model.strip()
    why = f'no provider "{name}"' if upstream is None else f'no model of "{name}" is given'
    notes.append(f"Router.{route}: skipped, {why}")
    return None

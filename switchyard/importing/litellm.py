"""Import the config.yaml of a LiteLLM proxy."""

import re
from collections.abc import Mapping
from typing import Any

from switchyard.importing.imported import (
    Imported,
    Json,
    Names,
    entries,
    is_address,
    is_sendable,
    left_out,
    number,
    text,
    tidy,
)
from switchyard.importing.providers import PROVIDERS, Provider, upstream

FROM_ENVIRONMENT = "os.environ/"
BY_PREFIX: Mapping[str, Provider] = {
    prefix: provider for provider in PROVIDERS for prefix in provider.prefixes
}
COMPATIBLE = frozenset(
    {"openai", "openai_like", "hosted_vllm", "litellm_proxy", "custom_openai", "llamafile"}
)
"""prefixes of servers that speak Chat Completions at their own `api_base`"""
BARE = ((re.compile(r"(gpt-|o\d|chatgpt-)"), "openai"), (re.compile(r"claude-"), "anthropic"))
"""models that LiteLLM knows without a prefix"""
NOT_SUPPORTED = ("fallbacks", "context_window_fallbacks", "default_fallbacks")


def is_litellm(document: Any) -> bool:
    """True for a file with a list of models."""
    return isinstance(document, dict) and isinstance(document.get("model_list"), list)


def from_litellm(document: Json) -> Imported:
    """One upstream for each address and key, with its models."""
    notes = list(left_out("model_list", document["model_list"]))
    found: dict[tuple[str, str, str], tuple[str, Json]] = {}
    names = Names()
    for place, entry in entries(document["model_list"]):
        origin = f"model_list[{place}]"
        made = _upstream(entry, origin, notes)
        if made is None:
            continue
        identity = (made["base_url"], made["key"], made.get("api_version", ""))
        if identity not in found:
            found[identity] = (origin, made | {"name": names.unique(made["name"])})
        else:
            _join(found[identity][1], made, origin, notes)
    result: Json = {"upstreams": [entry for _, entry in found.values()]}
    rules = _rules(document)
    if rules:
        result["model_rules"] = rules
    notes += _settings_notes(document)
    return Imported(result, tuple(notes), tuple(origin for origin, _ in found.values()))


def _upstream(entry: Json, origin: str, notes: list[str]) -> Json | None:
    requested = text(entry.get("model_name"))
    params: Json = entry["litellm_params"] if isinstance(entry.get("litellm_params"), dict) else {}
    prefix, model = _split(text(params.get("model")))
    base = _literal(params.get("api_base") or params.get("base_url"))
    provider = BY_PREFIX.get(prefix)
    if not base and provider is not None:
        base = provider.base_url
    known = provider is not None or prefix in COMPATIBLE or prefix == "azure"
    if not known or not is_address(base) or not requested or not model:
        notes.append(f'{origin} "{requested}": skipped, {_reason(known, prefix, base)}')
        return None
    key = _key(params.get("api_key"), provider)
    enabled = {} if is_sendable(key) else {"enabled": False}
    models = {} if model == "*" else {requested: model}
    made = upstream(
        _name(prefix, provider, base),
        base,
        key if is_sendable(key) else "",
        provider.protocol if provider else "chat",
        models=models,
        api_version=text(params.get("api_version")) if prefix == "azure" else "",
        auth="api-key" if prefix == "azure" else "",
        requests_per_minute=_whole(params.get("rpm")),
        timeouts=_timeouts(params),
    )
    return made | enabled


def _reason(known: bool, prefix: str, base: str) -> str:
    if not known:
        return f'the provider "{prefix}" is not supported' if prefix else "its provider is not known"
    return f'"{base}" is no http(s) address' if base else "it names no address or no model"


def _split(model: str) -> tuple[str, str]:
    """The provider's prefix and the model: deepseek/deepseek-chat; some names need none."""
    prefix, slash, rest = model.partition("/")
    if slash and (prefix in BY_PREFIX or prefix in COMPATIBLE or prefix.isidentifier()):
        return prefix, rest
    return next((provider for pattern, provider in BARE if pattern.match(model)), ""), model


def _name(prefix: str, provider: Provider | None, base: str) -> str:
    own = provider is not None and base.rstrip("/") == provider.base_url.rstrip("/")
    if own and provider is not None:
        return provider.name
    host = re.sub(r"\A\w+://(?:[^/@]*@)?", "", base).partition("/")[0]
    return host or prefix


def _literal(value: Any) -> str:
    """An address; one in a variable is not known here."""
    found = text(value)
    return "" if found.startswith(FROM_ENVIRONMENT) else found


def _key(value: Any, provider: Provider | None) -> str:
    found = text(value)
    if found.startswith(FROM_ENVIRONMENT):
        return f"env:{found.removeprefix(FROM_ENVIRONMENT)}"
    if found or provider is None or not provider.keys:
        return found
    return f"env:{provider.keys[-1]}"


def _whole(value: Any) -> int:
    found = number(value)
    return int(found) if found and found >= 1 else 0


def _timeouts(params: Json) -> Json:
    """LiteLLM's limits are for the first byte of a stream, and for the whole of other requests."""
    limit = number(params.get("stream_timeout")) or number(params.get("timeout"))
    return {"first_byte": tidy(min(limit, 86400))} if limit and limit > 0 else {}


def _join(upstream: Json, other: Json, origin: str, notes: list[str]) -> None:
    """Add the model of another entry with the same address and key."""
    models = upstream.get("models")
    if models is None or "models" not in other:
        # one of them takes every model
        upstream.pop("models", None)
        return
    for requested, model in other["models"].items():
        if models.setdefault(requested, model) != model:
            notes.append(f'{origin} "{requested}": skipped, the address serves it as {models[requested]}')


def _rules(document: Json) -> list[Json]:
    router: Any = document.get("router_settings")
    aliases = router.get("model_group_alias") if isinstance(router, dict) else None
    found = aliases if isinstance(aliases, dict) else {}
    return [{"from": alias, "to": model} for alias, model in found.items() if isinstance(model, str)]


def _settings_notes(document: Json) -> list[str]:
    notes = []
    for section in ("litellm_settings", "router_settings"):
        values = document.get(section)
        for name in NOT_SUPPORTED:
            if isinstance(values, dict) and values.get(name):
                notes.append(f"{section}.{name}: not imported; Switchyard tries the upstreams in their order")
    general = document.get("general_settings")
    if isinstance(general, dict) and general.get("master_key"):
        notes.append("general_settings.master_key: not imported; create a client key on the page Clients")
    return notes

"""Import accounts of the Claude Relay Service: those of Azure OpenAI, of CCR and of similar types."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from switchyard.importing.imported import (
    Imported,
    Json,
    Names,
    first,
    is_address,
    is_sendable,
    is_true,
    key_fields,
    keys_in,
    number,
    proxy_of,
    text,
    tidy,
)

ADDRESSES = ("azureEndpoint", "apiUrl", "baseApi", "baseUrl", "base_url", "apiEndpoint")
KEY_FIELDS = ("apiKey", "api_key", "key", "apiKeys", "api_keys", "keys")
WRAPPERS = ("accounts", "data", "items")
FORMATS = {
    "openai": "chat",
    "openai-chat": "chat",
    "chat": "chat",
    "openai-responses": "responses",
    "responses": "responses",
    "codex": "responses",
    "anthropic": "messages",
    "claude": "messages",
    "messages": "messages",
}
AZURE_HOSTS = re.compile(r"(^|\.)(azure\.com|azure-api\.net|azure\.us|azure\.cn)\Z", re.IGNORECASE)
AZURE_VERSION = "2024-10-21"
AZURE_PATH = re.compile(r"/openai/deployments/([^/]+)")
NUMBERS = (
    *("priority", "maxConcurrency", "maxConcurrentTasks"),
    *("rateLimitPerMinute", "timeout", "dailyQuota"),
)
WITHOUT_EFFECT = frozenset(
    {
        "accountType",
        "groupId",
        "groupIds",
        "rateLimitDuration",
        "quotaResetTime",
        "platform",
    }
    | {"disableAutoProtection", "subscriptionExpiresAt", "expiresAt", "proxyId", "proxyGroupId"}
)
RUNTIME = frozenset(
    {
        "id",
        "status",
        "errorMessage",
        "createdAt",
        "updatedAt",
        "lastUsedAt",
        "rateLimitedAt",
        "rateLimitStatus",
    }
    | {"rateLimitInfo", "dailyUsage", "lastResetDate", "quotaStoppedAt", "totalTokensUsed", "usage"}
)
KNOWN = frozenset(
    {
        *ADDRESSES,
        *KEY_FIELDS,
        "name",
        "responseFormat",
        "deploymentName",
        "apiVersion",
        "supportedModels",
        "priority",
    }
    | {"userAgent", "proxy", "apiFormat", "maxConcurrency", "maxConcurrentTasks", "rateLimitPerMinute"}
    | {"customHeaders", "timeout", "isActive", "schedulable", "enabled", "description", "dailyQuota"}
)


def is_accounts(document: Any) -> bool:
    """True for an account, an array of accounts, or an object that contains such an array."""
    accounts = _accounts(document)
    return bool(accounts) and all(
        isinstance(account, dict) and any(name in account for name in ADDRESSES) for account in accounts
    )


def from_accounts(document: Any) -> Imported:
    """One upstream for each account; unsupported parts are listed in the notes."""
    upstreams: list[Json] = []
    notes: list[str] = []
    origins: list[str] = []
    names = Names()
    for index, account in enumerate(_accounts(document)):
        origin = f"accounts[{index}]"
        if not isinstance(account, dict):
            notes.append(f"{origin}: skipped, it is not an object")
            continue
        wanted = text(account.get("name")) or f"Account {index + 1}"
        if not is_address(text(first(account, *ADDRESSES))):
            notes.append(f'{origin} "{wanted}": skipped, it has no http(s) address')
            continue
        name = names.unique(wanted[:280])
        if name != wanted:
            notes.append(f'{origin}: renamed from "{wanted}" to "{name}", names must be unique')
        upstreams.append(_upstream(account, name, origin, notes))
        origins.append(origin)
    return Imported({"upstreams": upstreams}, tuple(notes), tuple(origins))


def _accounts(document: Any) -> list[Any]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        for wrapper in WRAPPERS:
            if isinstance(document.get(wrapper), list):
                return list(document[wrapper])
        return [document]
    return []


def _upstream(account: Json, name: str, origin: str, notes: list[str]) -> Json:
    keys = keys_in(account, *KEY_FIELDS)
    enabled = all(is_true(account.get(flag)) for flag in ("isActive", "schedulable", "enabled"))
    if not all(map(is_sendable, keys)):
        notes.append(
            f'{origin} "{name}": its key has characters that no key has; enter it again and enable it'
        )
        keys, enabled = [], False
    proxy = proxy_of(_decoded(account.get("proxy")))
    if proxy is None:
        notes.append(f'{origin} "{name}": its proxy is of an unknown kind; enter it again and enable it')
        enabled = False
    address = _azure_address(account) if "azureEndpoint" in account else _address(account)
    upstream: Json = {"name": name, **address, **key_fields(keys), "enabled": enabled, **_models(account)}
    for field, found in (
        ("priority", _whole(account.get("priority"), 1, 100)),
        ("user_agent", text(account.get("userAgent"))),
        ("proxy", proxy),
        ("max_concurrency", _whole(first(account, "maxConcurrency", "maxConcurrentTasks"), 0, 100_000)),
        ("requests_per_minute", _whole(account.get("rateLimitPerMinute"), 0, 1_000_000)),
        ("headers", _headers(account.get("customHeaders"))),
        ("timeouts", _limits(account.get("timeout"))),
        ("budget", _budget(account.get("dailyQuota"))),
        ("note", text(account.get("description"))),
    ):
        if found:
            upstream[field] = found
    ignored = sorted(WITHOUT_EFFECT & account.keys() | _not_understood(account))
    if ignored:
        notes.append(f'{origin} "{name}": without effect: {", ".join(ignored)}')
    understood = KNOWN | WITHOUT_EFFECT | RUNTIME | upstream.keys()
    return upstream | {field: value for field, value in account.items() if field not in understood}


def _not_understood(account: Json) -> set[str]:
    """The fields that count but whose values say nothing."""
    found = {name for name in NUMBERS if text(account.get(name)) and number(account[name]) is None}
    kind = text(account.get("apiFormat")).lower()
    return found | {"apiFormat"} if kind and kind not in FORMATS else found


def _address(account: Json) -> Json:
    kind = text(account.get("apiFormat")).lower()
    fallback = "responses" if "baseApi" in account else "messages"
    return {"base_url": text(first(account, *ADDRESSES)), "protocol": FORMATS.get(kind, fallback)}


def _azure_address(account: Json) -> Json:
    """Azure needs its own URL form and header; the same account type is also used for local servers."""
    given = text(account["azureEndpoint"])
    parts = urlsplit(given)
    is_azure = bool(AZURE_HOSTS.search(parts.hostname or ""))
    version = text(account.get("apiVersion")) or "".join(parse_qs(parts.query).get("api-version", [])[:1])
    address: Json = {"base_url": given, "protocol": "chat"}
    deployment = text(account.get("deploymentName"))
    found = AZURE_PATH.search(parts.path)
    if found:
        address["base_url"] = f"{parts.scheme}://{parts.netloc}"
        deployment = deployment or found[1]
    if deployment:
        address["model"] = deployment
    if is_azure or version:
        address["auth"] = "api-key"
    if version or (is_azure and "/openai/v1" not in parts.path):
        address["api_version"] = version or AZURE_VERSION
    return address


def _models(account: Json) -> Json:
    """`{}` and `[]` mean every model; both are omitted."""
    models = _decoded(account.get("supportedModels"))
    if isinstance(models, dict):
        models = {text(name): text(target) for name, target in models.items() if text(name)}
    elif isinstance(models, list):
        models = [text(name) for name in models if text(name)]
    elif isinstance(models, str):
        models = [name.strip() for name in models.split(",") if name.strip()]
    else:
        models = None
    return {"models": models} if models else {}


def _decoded(value: Any) -> Any:
    """Exports of a hash store contain lists and maps as JSON text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _whole(value: Any, least: int, most: int) -> int:
    found = number(value)
    return 0 if found is None else int(min(max(found, least), most))


def _headers(value: Any) -> dict[str, str]:
    value = _decoded(value)
    if isinstance(value, list):
        value = {
            text(first(pair, "name", "key")): pair.get("value") for pair in value if isinstance(pair, dict)
        }
    if not isinstance(value, dict):
        return {}
    return {text(name): text(content) for name, content in value.items() if text(name)}


def _limits(milliseconds: Any) -> Json:
    """A timeout for the whole response becomes an idle timeout."""
    found = number(milliseconds)
    if not found or found <= 0:
        return {}
    seconds = tidy(min(found / 1000, 86400))
    return {"first_byte": seconds, "idle": seconds}


def _budget(dollars: Any) -> Json:
    found = number(dollars)
    return {"day_hard": tidy(found)} if found and found > 0 else {}

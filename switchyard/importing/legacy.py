"""Import the file of codex_cc_switch (the legacy format), whose users copy it into the data folder."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from switchyard.default_settings import CHAT_MODEL_RULES
from switchyard.importing.imported import (
    Imported,
    Json,
    Names,
    entries,
    first,
    is_address,
    is_sendable,
    is_true,
    left_out,
    number,
    text,
    tidy,
)
from switchyard.settings import WEEKDAYS, Weekday
from switchyard.times_of_day import minutes_of

SECTIONS = frozenset(
    {
        "api_configs",
        "codex_configs",
        "openai_to_claude_configs",
        "openai_to_claude_config",
        "retry_configs",
        "model_conversions",
        "timeout_settings",
        "error_handling_strategies",
        "optimization_settings",
    }
)


class Section(msgspec.Struct, frozen=True):
    """How the entries of one section are imported."""

    protocol: str
    clients: tuple[str, ...]
    fallback_name: str
    role: str = ""
    """empty: as stated in the entry"""


UPSTREAM_SECTIONS = {
    "api_configs": Section("messages", ("messages",), "API-{}"),
    "codex_configs": Section("responses", ("responses",), "Codex-{}"),
    "openai_to_claude_configs": Section("messages", ("chat",), "OpenAI-{}"),
    "retry_configs": Section("messages", ("messages",), "Retry-{}", role="rescue"),
}
ROLES = {"primary": "primary", "backup": "backup", "rescue": "rescue", "retry": "rescue"}
ACTIONS = {
    "switch_api": "switch",
    "strategy_retry": "rescue",
    "normal_retry": "return",
    **{action: action for action in ("switch", "retry", "rescue", "return")},
}
TIMEOUT_ERRORS = ("connect_timeout", "first_byte_timeout", "idle_timeout")
ERRORS: dict[str, tuple[str, ...]] = {
    "default": ("default",),
    "connecterror": ("connect",),
    "connect": ("connect",),
    "connection": ("connect",),
    "connectionerror": ("connect",),
    "connecttimeout": ("connect_timeout",),
    "readtimeout": ("first_byte_timeout", "idle_timeout"),
    "readerror": ("read",),
    "read": ("read",),
    "remoteprotocolerror": ("protocol",),
    "protocolerror": ("protocol",),
    "protocol": ("protocol",),
    "timeout": TIMEOUT_ERRORS,
    "timeouterror": TIMEOUT_ERRORS,
    "timeoutexception": TIMEOUT_ERRORS,
}
KNOWN_FIELDS = frozenset(
    {
        "name",
        "base_url",
        "baseUrl",
        "url",
        "api_url",
        "key",
        "api_key",
        "apiKey",
        "token",
        "type",
        "role",
        "enabled",
    }
    | {"time_enabled", "weekdays", "activation_enabled", "activation_time"}
)
BOOKKEEPING = frozenset({"created_at", "updated_at", "id"})


def is_legacy(document: Any) -> bool:
    """True for a file with sections of the legacy format and no `upstreams`."""
    return isinstance(document, dict) and "upstreams" not in document and not SECTIONS.isdisjoint(document)


def from_legacy(document: Json) -> Imported:
    """The same settings as a Switchyard document; `notes` lists what changes its meaning or has no effect."""
    reading = Reading()
    source = dict(document)
    if "openai_to_claude_configs" not in source and isinstance(source.get("openai_to_claude_config"), dict):
        source["openai_to_claude_configs"] = [source["openai_to_claude_config"]]
    limits = source.get("timeout_settings")
    for name, section in UPSTREAM_SECTIONS.items():
        _read_section(reading, name, section, source.get(name))
    result: Json = {"$schema": "./all_configs.schema.json", "upstreams": reading.upstreams}
    result["model_rules"] = _model_rules(reading, source.get("model_conversions"))
    if any(entry["clients"] == ["chat"] for entry in reading.upstreams):
        # codex_cc_switch sent every unknown name from these clients to Claude
        result["model_rules"] += [dict(rule) for rule in CHAT_MODEL_RULES]
        result["model_rules"].append({**CHAT_MODEL_RULES[0], "from": "gpt-*"})
    failover = _actions(reading, source.get("error_handling_strategies"))
    if isinstance(limits, dict):
        result["timeouts"] = _limits(reading, limits, failover)
    if failover:
        result["failover"] = failover
    _note_optimisations(reading, source.get("optimization_settings"))
    result.update(
        {name: value for name, value in source.items() if name not in SECTIONS and name != "$schema"}
    )
    return Imported(result, tuple(reading.notes), tuple(reading.origins))


@dataclass(slots=True)
class Reading:
    """The result of the import so far."""

    upstreams: list[Json] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: Names = field(default_factory=Names)


# --- upstreams ----------------------------------------------------------------


def _read_section(reading: Reading, name: str, section: Section, value: Any) -> None:
    reading.notes += left_out(name, value)
    for place, entry in entries(value):
        origin = f"{name}[{place}]"
        wanted = text(first(entry, "name")) or section.fallback_name.format(len(reading.upstreams) + 1)
        base_url = text(first(entry, "base_url", "baseUrl", "url", "api_url"))
        if not is_address(base_url):
            reading.notes.append(f'{origin} "{wanted}": skipped, it has no http(s) address')
            continue
        unique = reading.names.unique(wanted[:280])
        if unique != wanted:
            reading.notes.append(f'{origin}: renamed from "{wanted}" to "{unique}", names must be unique')
        reading.upstreams.append(_upstream(reading, origin, section, entry, unique, base_url))
        reading.origins.append(origin)


def _upstream(reading: Reading, origin: str, section: Section, entry: Json, name: str, base_url: str) -> Json:
    key = text(first(entry, "key", "api_key", "apiKey", "token"))
    enabled = is_true(entry.get("enabled"))
    if not is_sendable(key):
        reading.notes.append(
            f'{origin} "{name}": its key has characters that no key has; enter it again and enable it'
        )
        key, enabled = "", False
    upstream: Json = {
        "name": name,
        "base_url": base_url,
        "key": key,
        "protocol": section.protocol,
        "clients": list(section.clients),
        "role": section.role or ROLES.get(text(first(entry, "role", "type")).lower(), "primary"),
        "enabled": enabled,
    }
    weekdays = _weekdays(first(entry, "time_enabled", "weekdays"))
    if weekdays is not None:
        upstream["weekdays"] = weekdays
    if is_true(entry.get("activation_enabled"), default=False):
        _add_activation(reading, origin, upstream, text(first(entry, "activation_time", default="08:00")))
    upstream.update({key: value for key, value in entry.items() if key not in KNOWN_FIELDS | BOOKKEEPING})
    return upstream


def _weekdays(value: Any) -> list[Weekday] | None:
    """The enabled days, from flags that begin with Monday or are named; None: every day."""
    if isinstance(value, dict):
        named = {str(day).lower()[:3]: flag for day, flag in value.items()}
        numbered = [value.get(str(number)) for number in range(7)]
        flags = [named.get(day, numbered[index]) for index, day in enumerate(WEEKDAYS)]
    elif (
        isinstance(value, list)
        and value
        and all(isinstance(day, str) and day[:3].lower() in WEEKDAYS for day in value)
    ):
        flags = [any(named[:3].lower() == day for named in value) for day in WEEKDAYS]
    elif isinstance(value, list) and value:
        flags = [*value, *[1] * 7][:7]
    else:
        return None
    days = [day for day, flag in zip(WEEKDAYS, flags, strict=True) if is_true(flag)]
    return None if len(days) == len(WEEKDAYS) else days


def _add_activation(reading: Reading, origin: str, upstream: Json, at: str) -> None:
    try:
        minutes = minutes_of(at)
    except ValueError:
        reading.notes.append(f'{origin} "{upstream["name"]}": no activation, "{at}" is not a time of day')
        return
    upstream["activation"] = {"at": f"{minutes // 60:02d}:{minutes % 60:02d}"}


# --- rules --------------------------------------------------------------------


def _model_rules(reading: Reading, value: Any) -> list[Json]:
    rules: list[Json] = []
    for place, source, target, enabled in _conversions(reading, value):
        if not source or not target:
            reading.notes.append(f"model_conversions[{place}]: skipped, it needs a source and a target model")
        elif not enabled:
            reading.notes.append(
                f"model_conversions[{place}]: skipped, it is disabled ({source} -> {target})"
            )
        else:
            rules.append({"from": source, "to": target})
    return rules


def _conversions(reading: Reading, value: Any) -> list[tuple[str, str, str, bool]]:
    if isinstance(value, dict) and all(isinstance(target, str) for target in value.values()):
        return [(source, source, target, True) for source, target in value.items()]
    reading.notes += left_out("model_conversions", value)
    found = []
    for place, entry in entries(value):
        source = text(
            first(entry, "source_model", "source", "from", "name" if isinstance(value, dict) else "from")
        )
        target = text(first(entry, "target_model", "target", "to"))
        found.append((place, source, target, is_true(entry.get("enabled"))))
    return found


def _actions(reading: Reading, value: Any) -> Json:
    strategies = value if isinstance(value, dict) else {}
    failover: Json = {}
    statuses = strategies.get("http_status_codes")
    for status, strategy in statuses.items() if isinstance(statuses, dict) else ():
        action = ACTIONS.get(text(strategy))
        known = status == "default" or (status.isdecimal() and len(status) == 3 and 100 <= int(status) <= 599)
        if action and known:
            failover.setdefault("on_status", {})[status] = action
        else:
            reading.notes.append(
                f"error_handling_strategies.http_status_codes.{status}: {strategy} is unknown"
            )
    failures = strategies.get("network_errors")
    for kind, strategy in failures.items() if isinstance(failures, dict) else ():
        action = ACTIONS.get(text(strategy))
        ours = ERRORS.get(kind.lower().replace("_", ""), ())
        for error in ours if action else ():
            failover.setdefault("on_error", {})[error] = action
        if not (action and ours):
            reading.notes.append(f"error_handling_strategies.network_errors.{kind}: has no effect")
    for name in ("api_cooldown_seconds", "api_error_threshold"):
        if number(strategies.get(name)) is not None:
            _add_threshold(failover, name, strategies[name])
    return failover


# --- limits -------------------------------------------------------------------


def _add_threshold(failover: Json, name: str, value: Any) -> None:
    found = number(value) or 0
    if name == "api_cooldown_seconds":
        failover["cooldown_seconds"] = tidy(min(max(found, 0), 86400))
    else:
        failover["error_threshold"] = int(min(max(found, 1), 1000))


LIMITS = {
    "base_timeout": "first_byte",  # the read timeout if no other was given, so the others overrule it
    "connect_timeout": "connect",
    "streaming_read_timeout": "idle",
    "non_streaming_read_timeout": "first_byte",
}
CODEX_LIMITS = {"codex_connect_timeout": "connect", "codex_base_timeout": "idle"}
RESCUE_LIMITS = {"retry_read_timeout": "first_byte", "strategy_retry_read_timeout": "first_byte"}
THRESHOLDS = frozenset({"api_cooldown_seconds", "api_error_threshold"})


def _limits(reading: Reading, limits: Json, failover: Json) -> Json:
    common = _limits_by_meaning(limits, LIMITS)
    for upstream in reading.upstreams:
        own: Json = {}
        if upstream["protocol"] == "responses":
            own |= _limits_by_meaning(limits, CODEX_LIMITS)
        if upstream["role"] == "rescue":
            own |= _limits_by_meaning(limits, RESCUE_LIMITS)
        if own:
            upstream["timeouts"] = own
    for name in THRESHOLDS & limits.keys():
        if number(limits[name]) is not None:
            _add_threshold(failover, name, limits[name])
    known = LIMITS.keys() | CODEX_LIMITS.keys() | RESCUE_LIMITS.keys() | THRESHOLDS | BOOKKEEPING
    for name in limits:
        same_threshold = name == "codex_error_threshold" and limits[name] == limits.get("api_error_threshold")
        if name not in known and not same_threshold:
            reading.notes.append(f"timeout_settings.{name}: has no effect")
    return common


def _limits_by_meaning(limits: Json, meanings: dict[str, str]) -> Json:
    found: Json = {}
    for name, meaning in meanings.items():
        seconds = number(limits.get(name))
        if seconds is not None and seconds > 0:
            found[meaning] = tidy(min(seconds, 86400))
    return found


def _note_optimisations(reading: Reading, value: Any) -> None:
    for name in value if isinstance(value, dict) else ():
        if name not in BOOKKEEPING:
            reading.notes.append(f"optimization_settings.{name}: has no effect, applied where needed")

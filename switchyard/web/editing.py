"""Edit the settings document by the names of its upstreams; the given document is not modified."""

from collections.abc import Mapping
from typing import Any

import msgspec

from switchyard.faults import fields_of
from switchyard.importing.imported import Names
from switchyard.relay.redaction import MASK, hidden_path, masked_url
from switchyard.settings import Budget, Failover, Notify, Settings, Upstream
from switchyard.timeouts import Timeouts
from switchyard.unknown_fields import with_unknown

Document = dict[str, Any]
Entry = dict[str, Any]
KEPT = True
"""stands for a stored secret in what the dashboard sends back"""
WHOLE = (
    "model_rules",
    "routes",
    "prices",
    "allowed_hosts",
    "allowed_origins",
    "max_body_megabytes",
    "warm_connections",
)
PIECEWISE: dict[str, type[msgspec.Struct]] = {
    "failover": Failover,
    "timeouts": Timeouts,
    "budget": Budget,
    "notify": Notify,
}


class NoSuchUpstream(Exception):
    """There is no upstream of this name in the file."""

    def __init__(self, name: str) -> None:
        super().__init__(f'There is no upstream "{name}" any more.')


class UnknownSection(Exception):
    """The settings have no such section, or it cannot be changed this way."""


def entries_of(document: Document) -> list[Entry]:
    return list(document.get("upstreams", []))


def index_of(document: Document, name: str) -> int:
    """Raises NoSuchUpstream."""
    for index, entry in enumerate(entries_of(document)):
        if entry.get("name") == name:
            return index
    raise NoSuchUpstream(name)


def entry_of(document: Document, name: str) -> Entry:
    return entries_of(document)[index_of(document, name)]


def with_entries(document: Document, entries: list[Entry]) -> Document:
    return {**document, "upstreams": entries}


def added(document: Document, entry: Entry, before: str | None = None) -> Document:
    entries = entries_of(document)
    place = len(entries) if before is None else index_of(document, before)
    return with_entries(document, [*entries[:place], entry, *entries[place:]])


def replaced(document: Document, name: str, entry: Entry) -> Document:
    """With this entry in place of the one with the name; rules follow a new name."""
    entries = entries_of(document)
    entries[index_of(document, name)] = entry
    return _renamed_in_rules(with_entries(document, entries), name, entry.get("name"))


def _renamed_in_rules(document: Document, old: str, new: Any) -> Document:
    rules = document.get("routes")
    if new == old or not isinstance(rules, list):
        return document

    def renamed(rule: Any) -> Any:
        named = rule.get("upstreams") if isinstance(rule, dict) else None
        if not isinstance(named, list) or old not in named:
            return rule
        return rule | {"upstreams": [new if name == old else name for name in named]}

    return {**document, "routes": [renamed(rule) for rule in rules]}


def rules_naming(document: Document, name: str) -> list[int]:
    """The numbers of the rules that name this upstream, counted from 1."""
    rules = enumerate(document.get("routes") or [], start=1)
    return [number for number, rule in rules if name in rule.get("upstreams", [])]


def removed(document: Document, name: str) -> Document:
    entries = entries_of(document)
    del entries[index_of(document, name)]
    return with_entries(document, entries)


def moved(document: Document, name: str, before: str | None) -> Document:
    """The entry moved before another one, or to the end."""
    if name == before:
        return document
    entry = entry_of(document, name)
    return added(removed(document, name), entry, before)


def duplicated(document: Document, name: str) -> tuple[Document, str]:
    """A copy after the original, disabled so that it has no effect yet; and its name."""
    entries, index = entries_of(document), index_of(document, name)
    copy_name = Names(str(entry.get("name")) for entry in entries).unique(name)
    copy = {**entries[index], "name": copy_name, "enabled": False}
    return with_entries(document, [*entries[: index + 1], copy, *entries[index + 1 :]]), copy_name


def put_back(document: Document, earlier: Document, name: str) -> Document:
    """The entry of an earlier version at its earlier position."""
    index = index_of(earlier, name)
    entries = entries_of(document)
    entries.insert(min(index, len(entries)), entries_of(earlier)[index])
    return with_entries(document, entries)


def changed_entry(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> Entry:
    """The entry with these fields changed: null removes a field, a blanked secret keeps the stored one."""
    entry = dict(stored)
    for name, value in changes.items():
        if value is None:
            entry.pop(name, None)
        elif name in ("key", "keys"):
            entry[name] = _with_stored_keys(value, stored)
        else:
            entry[name] = _with_secrets(name, value, stored.get(name))
    return entry


def _with_stored_keys(value: Any, stored: Mapping[str, Any]) -> Any:
    """`true` stands for the stored key, and a number for the one at this position of the stored keys."""
    if isinstance(value, list):
        return [_with_stored_keys(one, stored) for one in value]
    if value is KEPT:
        return stored.get("key", "")
    known = stored.get("keys")
    if isinstance(value, int) and isinstance(known, list) and 0 <= value < len(known):
        return known[value]
    return value


def _with_secrets(name: str, value: Any, stored: Any) -> Any:
    if name == "headers" and isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        return {header: known.get(header, "") if text is KEPT else text for header, text in value.items()}
    blanked = isinstance(value, str) and isinstance(stored, str) and MASK in value
    if name in ("proxy", "base_url") and blanked and value == masked_url(stored):
        return stored
    return _with_unknown(Upstream, name, value, stored)


def _with_unknown(kind: type[msgspec.Struct], name: str, value: Any, stored: Any) -> Any:
    """The value of a field with its unknown parts blanked as they are shown."""
    fields = fields_of(kind)
    if name in fields:
        return with_unknown(fields[name][0], value, stored, MASK)
    return stored if value == MASK and stored is not None else value


def changed_settings(document: Document, changes: Mapping[str, Any]) -> Document:
    """The document with these sections changed. Raises UnknownSection."""
    changed = dict(document)
    for name, value in changes.items():
        if name == "notify" and not isinstance(value, dict):
            raise UnknownSection(name)
        if name in PIECEWISE and isinstance(value, dict):
            changed[name] = _merged(PIECEWISE[name], document.get(name), value)
        elif name not in WHOLE and name not in PIECEWISE:
            raise UnknownSection(name)
        elif value is None:
            changed.pop(name, None)
        else:
            changed[name] = _with_unknown(Settings, name, value, document.get(name))
    return changed


def _merged(kind: type[msgspec.Struct], stored: Any, changes: Mapping[str, Any]) -> Document:
    merged = dict(stored) if isinstance(stored, dict) else {}
    if kind is Notify:
        changes = _notify_changes(merged, changes)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _with_unknown(kind, name, value, merged.get(name))
    return merged


def _notify_changes(stored: Document, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whoever reaches the dashboard must not start programs, so the command stays as it is. Raises UnknownSection."""
    if "command" in changes:
        raise UnknownSection("notify.command")
    known, sent = stored.get("url"), changes.get("url")
    is_shown_one = isinstance(known, str) and known and sent == hidden_path(known)
    return {**changes, "url": known} if is_shown_one else changes

"""Merge an imported document into the settings without losing anything of either."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.default_settings import CHAT_MODEL_RULES
from switchyard.faults import HIDDEN, SettingsError
from switchyard.importing.imported import Imported, Json, Names, base_name
from switchyard.settings import SECRET_FIELDS, Settings
from switchyard.settings_validation import parse
from switchyard.unknown_fields import without_unknown

UPSTREAM_PLACE = re.compile(r"\$\.upstreams\[(\d+)\]")


class ImportReport(msgspec.Struct, frozen=True):
    """The result for each part of an import."""

    added: tuple[str, ...] = ()
    """final names of new upstreams"""
    identical: tuple[str, ...] = ()
    """names of upstreams that existed already"""
    renamed: tuple[tuple[str, str], ...] = ()
    """(name in the file, final name)"""
    origins: tuple[tuple[str, str], ...] = ()
    """(position in the file, final name), for the preview"""
    settings: tuple[str, ...] = ()
    """what is set besides upstreams: rules, limits and the like"""
    notes: tuple[str, ...] = ()


def merge(document: Json, imported: Imported) -> tuple[Json, ImportReport]:
    """The document with the import added. Existing settings stay, which a note reports."""
    merged = dict(document)
    notes = [*imported.notes, *_unknown_fields(imported)]
    upstreams, report = _merge_upstreams(list(document.get("upstreams", [])), imported)
    merged["upstreams"] = upstreams
    present = list(document.get("model_rules", []))
    rules = _merge_rules(present, imported.document.get("model_rules", []), notes)
    if rules:
        merged["model_rules"] = rules
    settings = [
        f"model_rules: {rule.get('from')} -> {rule.get('to')}" for rule in rules if rule not in present
    ]
    settings += _merge_routes(merged, imported, report)
    shown = without_unknown(Settings, imported.document, lambda _: HIDDEN)
    for name, value in imported.document.items():
        if name == "notify":
            notes.append("notify: left out, as it may start a program; add it to the settings file yourself")
        elif name not in ("upstreams", "model_rules", "routes", "$schema"):
            reported = HIDDEN if name in SECRET_FIELDS else shown[name]
            _merge_value(merged, name, value, reported, name, settings, notes)
    return merged, replace(report, settings=tuple(settings), notes=tuple(notes))


def _merge_routes(merged: Json, imported: Imported, report: ImportReport) -> list[str]:
    """Add the rules after the present ones, under the final names of their upstreams; what was added."""
    wanted = [str(entry.get("name")) for entry in imported.document.get("upstreams", [])]
    final = dict(zip(wanted, (name for _, name in report.origins), strict=True))
    present = list(merged.get("routes", []))
    rules = [
        {**rule, "upstreams": [final.get(name, name) for name in rule.get("upstreams", [])]}
        for rule in imported.document.get("routes", [])
    ]
    added = [rule for rule in rules if rule not in present]
    if added:
        merged["routes"] = present + added
    return [f"routes: {rule.get('name', 'a rule')} -> {', '.join(rule['upstreams'])}" for rule in added]


def _unknown_fields(imported: Imported) -> Iterator[str]:
    """The unknown fields of the file, by their path in it."""
    try:
        warnings = parse(imported.document).warnings
    except SettingsError:
        # the errors are found when the merged document is checked
        return
    alike: dict[str, list[str]] = {}
    for warning in warnings:
        reported = UPSTREAM_PLACE.sub(lambda found: _origin(imported, int(found[1])), warning)
        alike.setdefault(UPSTREAM_PLACE.sub("", warning), []).append(reported.removeprefix("$."))
    for reported, *others in alike.values():
        yield reported + (f" (and {len(others)} more like it)" if others else "")


def _origin(imported: Imported, index: int) -> str:
    return imported.origins[index] if index < len(imported.origins) else f"upstreams[{index}]"


def _merge_upstreams(present: list[Json], imported: Imported) -> tuple[list[Json], ImportReport]:
    by_base: dict[str, list[Json]] = {}
    for entry in present:
        by_base.setdefault(base_name(str(entry.get("name"))), []).append(entry)
    names = Names(str(entry.get("name")) for entry in present)
    added, identical, renamed, origins = [], [], [], []
    matched: set[int] = set()
    for index, entry in enumerate(imported.document.get("upstreams", [])):
        wanted = str(entry.get("name"))
        twin = _twin(by_base.get(base_name(wanted), []), entry, matched)
        if twin is not None:
            matched.add(id(twin))
            name = str(twin["name"])
            identical.append(name)
        else:
            name = names.unique(wanted)
            present.append({**entry, "name": name})
            added.append(name)
            if name != wanted:
                renamed.append((wanted, name))
        origins.append((_origin(imported, index), name))
    return present, ImportReport(tuple(added), tuple(identical), tuple(renamed), tuple(origins))


def _twin(candidates: list[Json], entry: Json, matched: set[int]) -> Json | None:
    """An entry that is equal except for the suffix of its name, and not matched yet."""
    wanted = _without_name(entry)
    for candidate in candidates:
        if id(candidate) not in matched and _without_name(candidate) == wanted:
            return candidate
    return None


def _without_name(entry: Json) -> Json:
    return {field: value for field, value in entry.items() if field != "name"}


def _merge_rules(present: list[Json], new: list[Json], notes: list[str]) -> list[Json]:
    """The user's rules, then the imported ones, then the default ones: the first match wins."""
    own = [rule for rule in present if rule not in CHAT_MODEL_RULES]
    shipped = [rule for rule in present if rule in CHAT_MODEL_RULES]
    targets = {_rule_key(rule): rule.get("to") for rule in own}
    for rule in new:
        key = _rule_key(rule)
        if rule in shipped:
            continue
        if key not in targets:
            own.append(rule)
            targets[key] = rule.get("to")
        elif targets[key] != rule.get("to"):
            notes.append(
                f"model_rules: {rule.get('from')} stays mapped to {targets[key]}, imported: {rule.get('to')}"
            )
    return own + shipped


def _rule_key(rule: Json) -> tuple[str, tuple[str, ...]]:
    return str(rule.get("from")).lower(), tuple(sorted(rule.get("clients", ())))


def _merge_value(
    target: Json, name: str, value: Any, shown: Any, path: str, settings: list[str], notes: list[str]
) -> None:
    """`shown` is the value without possible secrets."""
    if name not in target:
        target[name] = value
        if value not in ({}, [], ""):
            settings.append(f"{path}: {_text(shown)}")
    elif isinstance(target[name], dict) and isinstance(value, dict):
        if path in SECRET_FIELDS:
            clash = any(target[name].get(key, inner) != inner for key, inner in value.items())
            settings += [f"{path}: {HIDDEN}"] if value.keys() - target[name].keys() else []
            target[name] = {**value, **target[name]}
            notes += [f"{path}: some are left unchanged"] if clash else []
            return
        target[name] = dict(target[name])
        for key, inner in value.items():
            reported = shown[key] if isinstance(shown, dict) else HIDDEN
            _merge_value(target[name], key, inner, reported, f"{path}.{key}", settings, notes)
    elif target[name] != value:
        both = f" ({target[name]}), the imported file has {value}" if shown == value else ""
        notes.append(f"{path}: left unchanged{both}")


def _text(shown: Any) -> str:
    return HIDDEN if shown == HIDDEN else msgspec.json.encode(shown).decode()

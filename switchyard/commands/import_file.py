"""`import`: import the file of another switcher, after showing what it adds."""

import argparse
import os
from pathlib import Path
from typing import Any

import msgspec

from switchyard import importing
from switchyard.clients import json_edit
from switchyard.clients.texts import Unparsable
from switchyard.commands.ask import agreed
from switchyard.commands.command import Action, CommandFailed
from switchyard.default_settings import default_document
from switchyard.faults import SettingsError
from switchyard.importing import Imported, ImportReport, UnknownFormat
from switchyard.plural import plural
from switchyard.relay.redaction import masked_url
from switchyard.settings_validation import parse
from switchyard.store.settings_file import SettingsFile, StaleRevision


def import_file(arguments: argparse.Namespace) -> int:
    imported = _recognised(Path(arguments.file))
    settings_file = SettingsFile(Path(arguments.data))
    present = _present(settings_file)
    merged, report = importing.merge(present, imported)
    try:
        parse(merged)
    except SettingsError as error:
        raise CommandFailed(_listed(f"{arguments.file} would not be valid:", error)) from None
    print(preview(merged, report))
    if merged == present and not settings_file.is_legacy:
        print("Nothing to do: all entries exist already.")
        return 0
    if arguments.dry_run or not agreed(f"Write this to {settings_file.path}?", arguments):
        print("Nothing was written.")
        return 0
    _write(settings_file, merged)
    print(f"Written to {settings_file.path}; a running daemon uses it at once.")
    return 0


def add(imported: Imported, folder: Path) -> ImportReport:
    """Add the import to the settings of this folder without showing it first. Raises CommandFailed."""
    settings_file = SettingsFile(folder)
    merged, report = importing.merge(_present(settings_file), imported)
    _write(settings_file, merged)
    return report


def _present(settings_file: SettingsFile) -> dict[str, Any]:
    """The current document in Switchyard's form, or the initial one. Writes nothing."""
    if not os.path.lexists(settings_file.path):
        return default_document()
    try:
        settings_file.load(create=False)
    except SettingsError as error:
        raise CommandFailed(_listed(f"{settings_file.path} has errors; correct them first:", error)) from None
    return settings_file.document


def _write(settings_file: SettingsFile, document: dict[str, Any]) -> None:
    try:
        if not settings_file.disk_revision:
            settings_file.load()
        settings_file.save(document, settings_file.disk_revision)
    except (StaleRevision, SettingsError) as error:
        raise CommandFailed(f"Nothing was written: {error}") from None
    except OSError as error:
        raise CommandFailed(
            f"{settings_file.path} cannot be written: {error.strerror or error}. Nothing was changed."
        ) from None


def preview(merged: dict[str, Any], report: ImportReport) -> str:
    """What the import adds, without any secret."""
    by_name = {str(entry.get("name")): entry for entry in merged.get("upstreams", [])}
    lines = []
    for origin, name in report.origins:
        entry = by_name.get(name, {})
        state = "exists already" if name in report.identical else _summary(entry)
        lines.append(f"{origin} -> {name}: {state}")
    lines += [f"set: {setting}" for setting in report.settings]
    lines += [f"renamed: {before} is now {after}" for before, after in report.renamed]
    lines += [f"note: {note}" for note in report.notes]
    lines.append(f"{len(report.added)} new, {len(report.identical)} exist already.")
    return "\n".join("".join(sign if sign.isprintable() else "?" for sign in line) for line in lines)


def _summary(entry: dict[str, Any]) -> str:
    models = entry.get("models") or {}
    parts = [
        f"{entry.get('protocol', 'messages')} at {masked_url(str(entry.get('base_url')))}",
        f"clients {', '.join(entry['clients'])}" if "clients" in entry else "",
        str(entry.get("role", "")),
        plural(len(models), "model") if models else "",
        "" if entry.get("enabled", True) else "disabled",
    ]
    return ", ".join(part for part in parts if part)


def _recognised(path: Path) -> Imported:
    try:
        content = path.read_bytes()
        other = importing.recognise_other(content)
        if other is not None:
            return other
        document = _decoded(content)
    except UnknownFormat as unknown:
        raise CommandFailed(f"{path}: {unknown}") from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror or error}.") from None
    except Unparsable as broken:
        raise CommandFailed(f"{path} is not valid JSON: {broken}") from None
    try:
        return importing.recognise(document)
    except UnknownFormat as unknown:
        raise CommandFailed(f"{path}: {unknown}") from None
    except SettingsError as error:
        raise CommandFailed(_listed(f"{path} has errors:", error)) from None


def _decoded(content: bytes) -> Any:
    """Other programs allow comments in their files. Raises Unparsable."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return json_edit.decode(content)


def _listed(sentence: str, error: SettingsError) -> str:
    return "\n  ".join([sentence, *map(str, error.faults)])


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        help="all_configs.json of codex_cc_switch, accounts of the relay service, config.json of claude-code-router, "
        "cc-switch.db or an export of cc-switch, config.yaml of LiteLLM, .env with keys",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be imported")
    parser.add_argument("--yes", action="store_true", help="write without confirmation")


ACTION = Action(_arguments, import_file)

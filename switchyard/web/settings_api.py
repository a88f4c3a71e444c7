"""The settings API: each request saves the whole file once, based on a revision."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import unified_diff
from typing import Any

import msgspec
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from switchyard import importing
from switchyard.clients import json_edit
from switchyard.clients.texts import Unparsable
from switchyard.faults import SettingsError
from switchyard.importing import Imported, UnknownFormat
from switchyard.relay import keychain
from switchyard.relay.credentials import KEYRING
from switchyard.relay.redaction import masked_url
from switchyard.relay.urls import request_url
from switchyard.routing.families import official_families, official_host
from switchyard.settings import Settings
from switchyard.settings_validation import parse
from switchyard.store.budget_reach import Unlimited, unlimited
from switchyard.store.price_files import StoredPrices
from switchyard.store.prices import PriceBook
from switchyard.store.settings_file import SettingsFile, StaleRevision, encode_document, read_settings
from switchyard.timeouts import timeouts_of
from switchyard.web import editing
from switchyard.web.answers import (
    Handler,
    Json,
    Problem,
    answer,
    fault_view,
    object_of,
    read_json,
    read_object,
    text_of,
    within,
)
from switchyard.web.drafts import Draft, draft_of, update_of
from switchyard.web.secrets import mark, nothing, without_secrets
from switchyard.web.settings_view import key_id, key_view

CLIENT_KEY_BYTES = 24
IMPORT_TRIES = 3
CURRENT = "current"


class SettingsApi:
    """The handlers that change the file or return its versions."""

    def __init__(self, settings_file: SettingsFile) -> None:
        self._file = settings_file
        self._stored_prices = StoredPrices(settings_file.path.parent)
        self._salt = secrets.token_bytes(16)

    def reading_table(self) -> dict[str, Handler]:
        return {"/api/history": self.history, "/api/history/diff": self.diff}

    def table(self) -> dict[str, Handler]:
        return {
            "/api/upstreams/add": self.add,
            "/api/upstreams/update": self.update,
            "/api/upstreams/delete": self.delete,
            "/api/upstreams/undelete": self.undelete,
            "/api/upstreams/toggle": self.toggle,
            "/api/upstreams/move": self.move,
            "/api/upstreams/duplicate": self.duplicate,
            "/api/upstreams/move-key": self.move_key,
            "/api/upstreams/check": self.check,
            "/api/settings": self.change_settings,
            "/api/settings/check": self.check_settings,
            "/api/client-keys/add": self.add_client_key,
            "/api/client-keys/remove": self.remove_client_key,
            "/api/history/restore": self.restore,
            "/api/import": self.import_file,
            "/api/admin/azure-openai/accounts": self.import_file,
            "/api/export": self.export,
            "/api/reload": self.reload,
        }

    # --- upstreams ---

    async def add(self, request: Request) -> Response:
        body = await read_object(request)
        entry = editing.changed_entry({}, object_of(body, "entry"))
        document = _edited(editing.added, self._file.document, entry, _other(body, "before"))
        return await self._saved(document, body, entry.get("name"))

    async def update(self, request: Request) -> Response:
        body = await read_object(request)
        name, changes = text_of(body, "name"), object_of(body, "changes")
        draft: Draft = _edited(update_of, self._file.document, name, changes)
        draft.parsed()
        return await self._saved(draft.document, body, changes.get("name", name))

    async def delete(self, request: Request) -> Response:
        body = await read_object(request)
        name = text_of(body, "name")
        document = _edited(editing.removed, self._file.document, name)
        if rules := editing.rules_naming(document, name):
            where = ("rule " if len(rules) == 1 else "rules ") + ", ".join(map(str, rules))
            raise Problem(409, f'"{name}" is named in {where}. Remove it there first.', "name")
        revision = await self._save(document, body)
        return answer({"revision": revision, "version": self._file.history()[0].id})

    async def undelete(self, request: Request) -> Response:
        body = await read_object(request)
        name, earlier = text_of(body, "name"), self._version(text_of(body, "version"))
        document = _edited(editing.put_back, self._file.document, earlier, name)
        return await self._saved(document, body, name)

    async def toggle(self, request: Request) -> Response:
        body = await read_object(request)
        name, enabled = text_of(body, "name"), body.get("enabled")
        if not isinstance(enabled, bool):
            raise Problem(400, "`enabled` must be true or false.", "enabled")
        entry = _edited(editing.entry_of, self._file.document, name)
        document = editing.replaced(self._file.document, name, {**entry, "enabled": enabled})
        return await self._saved(document, body, name)

    async def move(self, request: Request) -> Response:
        body = await read_object(request)
        name = text_of(body, "name")
        document = _edited(editing.moved, self._file.document, name, _other(body, "before"))
        return await self._saved(document, body, name)

    async def duplicate(self, request: Request) -> Response:
        body = await read_object(request)
        document, name = _edited(editing.duplicated, self._file.document, text_of(body, "name"))
        return await self._saved(document, body, name)

    async def move_key(self, request: Request) -> Response:
        """Move the literal key of an entry to the system keychain; the file and its history then only name it."""
        body = await read_object(request)
        name, revision = text_of(body, "name"), _revision(body)
        entry = _edited(editing.entry_of, self._file.document, name)
        key = entry.get("key", "")
        if key_view(key)["kind"] != "literal":
            raise Problem(422, f'The file has no key of "{name}" that can be moved.', "key")
        try:
            kept = await asyncio.to_thread(keychain.keep, name.strip(), key)
        except keychain.KeychainRefused as refused:
            raise Problem(503, f"The key stays in the file: {refused}.") from None
        moved = {**entry, "key": f"{KEYRING}{kept.name}"}
        try:
            document = editing.replaced(self._file.document, name, moved)
            revision = await asyncio.to_thread(self._file.save, document, revision)
        except (SettingsError, StaleRevision, OSError):
            if kept.is_new:
                await asyncio.to_thread(_forget, kept.name)
            raise
        try:
            await asyncio.to_thread(self._file.replace_in_history, key, moved["key"])
        except OSError as error:
            why = error.strerror or error
            raise Problem(
                507, f"The keychain has the key now, but the history still holds it: {why}."
            ) from None
        return answer({"revision": revision, "name": name, "key": key_view(moved["key"])})

    async def check(self, request: Request) -> Response:
        """What a save would report for this entry, its request URL, and its effective timeouts."""
        draft = draft_of(self._file.document, await read_object(request))
        try:
            parsed = draft.parsed()
        except SettingsError as error:
            faults = [fault_view(fault) for fault in error.faults]
            return answer({"faults": faults, "warnings": [], "url": None, "timeouts": None, "official": None})
        upstream = parsed.settings.upstreams[draft.place]
        timeouts = asdict(timeouts_of(upstream, parsed.settings))
        url = "demo:" if upstream.is_demo else request_url(upstream, upstream.model or "MODEL")
        warnings = [text.removeprefix(draft.path) for text in parsed.warnings if text.startswith(draft.path)]
        warnings += [
            f"{one.path.removeprefix(draft.path)}: it cannot apply, as {one.reason}"
            for one in self._unlimited(parsed.settings)
            if one.path.startswith(draft.path)
        ]
        host, families = official_host(upstream), official_families(upstream.base_url)
        return answer(
            {
                "faults": [],
                "warnings": warnings,
                "url": masked_url(url),
                "timeouts": timeouts,
                "official": {"host": host, "families": families} if host else None,
            }
        )

    def _unlimited(self, settings: Settings) -> tuple[Unlimited, ...]:
        self._stored_prices.refresh()
        return unlimited(PriceBook(settings, self._stored_prices.table))

    # --- the rest of the file ---

    async def change_settings(self, request: Request) -> Response:
        body = await read_object(request)
        return await self._saved(self._changed(body), body)

    async def check_settings(self, request: Request) -> Response:
        try:
            parse(self._changed(await read_object(request)))
        except SettingsError as error:
            return answer({"faults": [fault_view(fault) for fault in within(error.faults, "$.")]})
        return answer({"faults": []})

    def _changed(self, body: Json) -> Json:
        try:
            return editing.changed_settings(self._file.document, object_of(body, "changes"))
        except editing.UnknownSection as unknown:
            raise Problem(400, f"`{unknown}` cannot be changed here.", str(unknown)) from None

    async def add_client_key(self, request: Request) -> Response:
        body = await read_object(request)
        label = text_of(body, "label")
        key = text_of(body, "key", "") or f"sy-{secrets.token_urlsafe(CLIENT_KEY_BYTES)}"
        keys = {**self._file.document.get("client_keys", {}), key: label}
        revision = await self._save({**self._file.document, "client_keys": keys}, body)
        return answer({"revision": revision, "key": key})

    async def remove_client_key(self, request: Request) -> Response:
        body = await read_object(request)
        id, keys = text_of(body, "id"), self._file.document.get("client_keys", {})
        kept = {key: label for key, label in keys.items() if key_id(key) != id}
        if len(kept) == len(keys):
            raise Problem(404, "This key does not exist. It may have been removed.")
        return await self._saved({**self._file.document, "client_keys": kept}, body)

    async def reload(self, request: Request) -> Response:
        await read_object(request)
        await asyncio.to_thread(self._file.reread)
        faults = [fault_view(fault) for fault in self._file.faults]
        return answer({"revision": self._file.revision, "faults": faults})

    # --- versions ---

    async def history(self, request: Request) -> Response:
        versions = [
            {"id": version.id, "time": version.time, "size": version.size} for version in self._file.history()
        ]
        return answer({"revision": self._file.disk_revision, "versions": versions})

    async def diff(self, request: Request) -> Response:
        names = request.query_params.get("from", ""), request.query_params.get("to", CURRENT)
        before, after = (self._shown(name) for name in names)
        return answer({"diff": "".join(unified_diff(before, after, *names))})

    def _shown(self, name: str) -> list[str]:
        document = self._file.document if name == CURRENT else self._version(name)
        return encode_document(without_secrets(document, mark(self._salt))).decode().splitlines(keepends=True)

    def _version(self, id: str) -> Json:
        try:
            return read_settings(self._file.version(id)).document
        except KeyError:
            raise Problem(404, "This version no longer exists.") from None
        except SettingsError as error:
            raise Problem(422, f"This version has errors: {error}") from None

    async def restore(self, request: Request) -> Response:
        body = await read_object(request)
        id = text_of(body, "version")
        try:
            revision = await asyncio.to_thread(self._file.restore, id, _revision(body))
        except KeyError:
            raise Problem(404, "This version no longer exists.") from None
        return answer({"revision": revision})

    # --- import and export ---

    async def import_file(self, request: Request) -> Response:
        """Add the content of a foreign file; a save in between does not matter, as nothing is replaced."""
        foreign = await read_json(request, _foreign)
        dry_run = request.query_params.get("dry_run", "") not in ("", "0", "false")
        for left in reversed(range(IMPORT_TRIES)):
            revision = self._file.disk_revision
            try:
                imported = foreign if isinstance(foreign, Imported) else importing.recognise(foreign)
                document, report = importing.merge(self._file.document, imported)
            except UnknownFormat as unknown:
                raise Problem(422, str(unknown)) from None
            try:
                if dry_run:
                    parse(document)
                else:
                    revision = await asyncio.to_thread(self._file.save, document, revision)
            except StaleRevision:
                if not left:
                    raise
                continue
            break
        return answer(
            {
                "success": True,
                "revision": revision,
                "added": report.added,
                "identical": report.identical,
                "renamed": [{"from": old, "to": new} for old, new in report.renamed],
                "origins": _becoming(document, report.origins),
                "settings": report.settings,
                "notes": report.notes,
            }
        )

    async def export(self, request: Request) -> Response:
        body = await read_object(request)
        document = self._file.document
        return answer(document if body.get("keys") is True else without_secrets(document, nothing))

    # --- saving ---

    async def _saved(self, document: Json, body: Json, name: Any = None) -> Response:
        with _relative(document, name):
            revision = await self._save(document, body)
        return answer({"revision": revision} | ({"name": name} if name is not None else {}))

    async def _save(self, document: Json, body: Json) -> str:
        return await asyncio.to_thread(self._file.save, document, _revision(body))


def _foreign(content: bytes) -> Any:
    """What has been decoded, or an import. Other programs allow comments in their files. Raises Problem."""
    try:
        if (other := importing.recognise_other(content)) is not None:
            return other
        return msgspec.json.decode(content)
    except UnknownFormat as unknown:
        raise Problem(422, str(unknown)) from None
    except msgspec.DecodeError:
        try:
            return json_edit.decode(content)
        except Unparsable as broken:
            raise Problem(400, f"The text is not valid JSON: {broken}") from None


def _becoming(document: Json, origins: tuple[tuple[str, str], ...]) -> list[Json]:
    """The result for each part of an import."""
    by_name = {entry.get("name"): entry for entry in editing.entries_of(document)}
    return [
        {
            "from": place,
            "to": name,
            "protocol": by_name[name].get("protocol", "messages"),
            "url": masked_url(str(by_name[name].get("base_url"))),
            "enabled": by_name[name].get("enabled", True),
        }
        for place, name in origins
    ]


def _forget(name: str) -> None:
    # the key is still in the file, so an entry left in the keychain does no harm
    with suppress(keychain.KeychainRefused):
        keychain.forget(name)


def _revision(body: Json) -> str:
    revision = body.get("revision")
    if not isinstance(revision, str) or not revision:
        raise Problem(
            400, "`revision` must be the version of the file that this change is based on.", "revision"
        )
    return revision


def _other(body: Json, name: str) -> str | None:
    """The name of another upstream, or None. Raises Problem."""
    return None if body.get(name) is None else text_of(body, name)


def _edited(edit: Any, *arguments: Any) -> Any:
    """The edit's result. Raises Problem if it names an unknown upstream."""
    try:
        return edit(*arguments)
    except editing.NoSuchUpstream as missing:
        raise Problem(404, str(missing)) from None


@contextmanager
def _relative(document: Json, name: Any) -> Iterator[None]:
    """Report errors of the entry that was sent by its own fields."""
    try:
        yield
    except SettingsError as error:
        places = [
            index for index, entry in enumerate(editing.entries_of(document)) if entry.get("name") == name
        ]
        prefix = f"$.upstreams[{places[-1]}]." if places else "$."
        raise SettingsError(within(error.faults, prefix) or error.faults) from None

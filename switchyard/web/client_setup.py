"""The dashboard's set-up of clients: show the state, preview the change, apply it, undo it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from switchyard.clients.claude_code import ANY_KEY, KNOBS, chosen
from switchyard.clients.plan import ChangedMeanwhile, Endpoint, Plan, apply, read_record
from switchyard.clients.texts import NeedsModel, Unparsable, left_unchanged
from switchyard.importing.imported import Names
from switchyard.relay.redaction import masked_url
from switchyard.settings import Settings
from switchyard.store.settings_file import SettingsFile
from switchyard.web import editing
from switchyard.web.answers import Handler, Json, Problem, answer, read_object, text_of
from switchyard.web.paths import shown_path

USUAL_KNOBS = frozenset({"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"})
"""suggested if no model was chosen before"""
LOOK_AGAIN = "Nothing was written: look at the preview again."
KEY_TO_FILL_IN = "YOUR-CLIENT-KEY"
STATES = {True: "ours", False: "other", None: "absent"}
Planned = Callable[[str, Json], Plan]


class ClientFiles(Protocol):
    """The files of the clients that can be set up, and the changes that a set-up would make."""

    @property
    def titles(self) -> Mapping[str, str]: ...

    @property
    def address(self) -> str: ...

    def path(self, client: str) -> Path: ...

    def plan(self, client: str, model: str, knobs: Mapping[str, bool]) -> Plan:
        """Knobs that are not named stay as they are. Raises Unparsable or OSError."""
        ...

    def leads_here(self, client: str) -> bool | None:
        """True if the file points the client here; None if it names no address. Raises Unparsable or OSError."""
        ...

    def snippet(self, client: str, key: str) -> str:
        """What to paste by hand; "" for clients of SNIPPETS."""
        ...

    def endpoint(self, client: str) -> Endpoint | None:
        """Where the client sends its requests without Switchyard. Raises Unparsable or OSError."""
        ...

    def undo(self, client: str) -> Plan:
        """Raises Unparsable or OSError."""
        ...


class ClientSetup:
    """The handlers of `/api/clients`."""

    def __init__(
        self, files: ClientFiles, settings: Callable[[], Settings], settings_file: SettingsFile
    ) -> None:
        self._files = files
        self._settings = settings
        self._settings_file = settings_file

    def reading_table(self) -> dict[str, Handler]:
        return {"/api/clients": self.clients}

    def table(self) -> dict[str, Handler]:
        return {
            "/api/clients/preview": self.preview,
            "/api/clients/apply": self.apply,
            "/api/clients/undo": self.undo,
            "/api/clients/adopt": self.adopt,
        }

    async def clients(self, request: Request) -> Response:
        return answer({"clients": [await asyncio.to_thread(self._view, name) for name in self._files.titles]})

    async def preview(self, request: Request) -> Response:
        body = await read_object(request)
        client = self._client(body)
        planned = self._undo_plan if text_of(body, "action", "apply") == "undo" else self._plan
        plan = await asyncio.to_thread(planned, client, body)
        return answer(
            {
                "path": shown_path(self._files.path(client)),
                "revision": plan.revision,
                "diff": plan.diff(),
                "changes": not plan.is_empty,
                "note": "\n".join((*plan.notes, *self._previous(client, plan))),
            }
        )

    async def apply(self, request: Request) -> Response:
        return await self._write(request, self._plan)

    async def undo(self, request: Request) -> Response:
        return await self._write(request, self._undo_plan)

    async def adopt(self, request: Request) -> Response:
        """Add the endpoint that the client's file names as an upstream, with its key, which stays on this side."""
        body = await read_object(request)
        client, revision = self._client(body), text_of(body, "revision")
        found = await asyncio.to_thread(self._endpoint, client)
        if found is None:
            raise Problem(404, f"{self._files.path(client)} names no endpoint to adopt.", "client")
        document = self._settings_file.document
        names = Names(str(entry.get("name")) for entry in editing.entries_of(document))
        entry = {
            "name": names.unique(urlsplit(found.base_url).hostname or self._files.titles[client]),
            "base_url": found.base_url,
            "protocol": found.protocol,
            "key": found.key,
        }
        saved = editing.added(document, entry)
        revision = await asyncio.to_thread(self._settings_file.save, saved, revision)
        return answer({"revision": revision, "name": entry["name"]})

    async def _write(self, request: Request, planned: Planned) -> Response:
        body = await read_object(request)
        client = self._client(body)
        plan = await asyncio.to_thread(planned, client, body)
        if text_of(body, "revision", plan.revision) != plan.revision:
            raise Problem(409, f"{self._files.path(client)} or the settings have changed since. {LOOK_AGAIN}")
        try:
            backups = await asyncio.to_thread(apply, plan, datetime.now().strftime("%Y%m%d-%H%M%S"))
        except ChangedMeanwhile as changed:
            raise Problem(409, str(changed)) from None
        backup = shown_path(backups[0]) if backups else None
        return answer(
            {"path": shown_path(self._files.path(client)), "backup": backup, "note": "\n".join(plan.notes)}
        )

    # --- plans ---

    def _plan(self, client: str, body: Json) -> Plan:
        """Raises Problem."""
        options = body.get("options")
        given = options if isinstance(options, dict) else {}
        model = given.get("model", "")
        knobs = {name: given[name] for name in KNOBS if isinstance(given.get(name), bool)}
        with _readable(self._files.path(client)):
            return self._files.plan(client, model if isinstance(model, str) else "", knobs)

    def _undo_plan(self, client: str, body: Json) -> Plan:
        """Raises Problem."""
        with _readable(self._files.path(client)):
            return self._files.undo(client)

    def _client(self, body: Json) -> str:
        """Raises Problem."""
        name = text_of(body, "client")
        if name not in self._files.titles:
            raise Problem(400, "`client` must be one of " + ", ".join(self._files.titles) + ".", "client")
        return name

    # --- state ---

    def _view(self, client: str) -> Json:
        path = self._files.path(client)
        state, detail = self._state(client, path)
        key = KEY_TO_FILL_IN if self._settings().client_keys else ""
        return {
            "client": client,
            "title": self._files.titles[client],
            "path": shown_path(path),
            "state": state,
            "detail": detail,
            "undoable": read_record(path) is not None,
            "options": _claude_options(path) if client == "claude" else MODEL_OPTIONS,
            "endpoint": self._endpoint_view(client),
            "snippet": self._snippet(client, key),
        }

    def _previous(self, client: str, plan: Plan) -> tuple[str, ...]:
        if plan.previous is None or plan.is_empty:
            return ()
        title, url = self._files.titles[client], masked_url(plan.previous.base_url)
        return (f"{title} has used {url} until now. To keep it, add it on the page Upstreams.",)

    def _snippet(self, client: str, key: str) -> str:
        written = SNIPPETS.get(client)
        return written(self._files.address, key) if written else self._files.snippet(client, key)

    def _endpoint(self, client: str) -> Endpoint | None:
        """What can be adopted: None if the settings have it already. Raises Problem."""
        with _readable(self._files.path(client)):
            found = self._files.endpoint(client)
        known = {upstream.base_url.rstrip("/") for upstream in self._settings().upstreams}
        return None if found is None or found.base_url.rstrip("/") in known else found

    def _endpoint_view(self, client: str) -> Json | None:
        try:
            found = self._endpoint(client)
        except Problem:
            return None
        if found is None:
            return None
        return {
            "base_url": masked_url(found.base_url),
            "protocol": found.protocol,
            "has_key": bool(found.key),
        }

    def _state(self, client: str, path: Path) -> tuple[str, str]:
        try:
            with _readable(path):
                return STATES[self._files.leads_here(client)], "\n".join(self._notes(client))
        except Problem as unreadable:
            return "unreadable", unreadable.message

    def _notes(self, client: str) -> tuple[str, ...]:
        try:
            return self._files.plan(client, "", {}).notes
        except NeedsModel:
            title = self._files.titles[client]
            return (f"No upstream lists a model: enter the one that {title} is to request.",)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises a Problem for an error in the user's file."""
    try:
        yield
    except Unparsable as broken:
        raise Problem(422, left_unchanged(path, broken)) from None
    except OSError as error:
        raise Problem(507, f"{path}: {error.strerror or error}") from None


def _claude_options(path: Path) -> list[Json]:
    taken = chosen(path).keys() if read_record(path) is not None else USUAL_KNOBS
    return [
        {"name": name, "type": "flag", "label": name, "help": text, "default": name in taken}
        for name, (_, text) in KNOBS.items()
    ]


MODEL_OPTIONS: list[Json] = [
    {
        "name": "model",
        "type": "text",
        "label": "model",
        "help": "The model that the client requests; empty: keep the current one.",
        "default": "",
    }
]


def _claude_snippet(address: str, key: str) -> str:
    return "\n".join(
        [
            f"export ANTHROPIC_BASE_URL={address}/api",
            f"export ANTHROPIC_AUTH_TOKEN={key or ANY_KEY}",
            "export NO_PROXY=localhost,127.0.0.1",
        ]
    )


def _codex_snippet(address: str, key: str) -> str:
    lines = [
        'model_provider = "switchyard"',
        "",
        "[model_providers.switchyard]",
        'name = "Switchyard"',
        f'base_url = "{address}/openai"',
        'wire_api = "responses"',
    ]
    return "\n".join([*lines, f'http_headers = {{ "x-api-key" = "{key}" }}'] if key else lines)


SNIPPETS: Mapping[str, Callable[[str, str], str]] = {"claude": _claude_snippet, "codex": _codex_snippet}

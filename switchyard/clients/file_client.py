"""Point a client with one file at the daemon, and undo that; what differs between such clients is data."""

import posixpath
import re
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import msgspec

from switchyard.clients import files, json_edit, texts
from switchyard.clients.edits import Dialect, value_at
from switchyard.clients.plan import Endpoint, FileChange, Plan, change_of
from switchyard.store.files import read_or_none

PROVIDER = "switchyard"
"""the id under which a client lists the daemon"""
ANY_KEY = "switchyard"
"""sent if the daemon needs no key: most clients refuse to start without one"""
OUTPUT_TOKENS = 32_000
"""the longest answer to ask for, where a client wants to know"""
DEFAULT_WINDOW = 128_000
VARIABLE = re.compile(r"\$(?:\{|(?=\w))(\w+)\}?|\{env:(\w+)\}")
"""how the clients write a variable"""

Json = Mapping[str, Any]
MOST_LISTED = 100
"""models in a client's file: each is edited by itself, and nobody picks one of hundreds from a menu"""


class Offer(msgspec.Struct, frozen=True):
    """What the daemon offers a client: its base URL for Chat Completions, a key, the model to use, all models."""

    base_url: str
    key: str
    model: str
    models: Mapping[str, int] = {}
    """name -> context window; 0: unknown"""
    folder: PurePath | None = None
    """that of the client's file; None for what is pasted by hand"""

    @property
    def windows(self) -> dict[str, int]:
        """The models that the client's file lists: the chosen one, and the first of the others."""
        chosen = {self.model: self.models.get(self.model, 0)}
        listed = chosen | dict(islice(self.models.items(), MOST_LISTED))
        return {name: window or DEFAULT_WINDOW for name, window in listed.items()}


class Listing(msgspec.Struct, frozen=True):
    """A file that lists the models."""

    name: str
    content: Callable[[Offer], bytes]


class FileClient(msgspec.Struct, frozen=True):
    """One client: its name, its program, its file and the keys that point it at the daemon."""

    title: str
    program: str
    path: Callable[[Mapping[str, str], Path], Path]
    wanted: Callable[[Offer], dict[texts.Path, Any]]
    endpoint: Callable[[Json], Endpoint | None]
    """the endpoint that the file selects now"""
    model: Callable[[Json], str]
    """the model that the file selects now"""
    note: str = ""
    """what a set-up cannot do itself"""
    dialect: Dialect = json_edit
    listing: Listing | None = None
    """a file of Switchyard's own beside it"""
    required: Mapping[texts.Path, Any] = {}
    """what the file must have, whatever its value"""
    refuse: Callable[[Path], None] | None = None
    """raises Refused if the client would not use the file, or no longer another one"""

    def plan(self, path: Path, offer: Offer, folder: PurePath, private: bool) -> Plan:
        """What a set-up would change; `folder` is that of the file as the client names it, `private`: the key is a
        real one. Raises Unparsable."""
        if self.refuse is not None:
            self.refuse(path)
        offer = msgspec.structs.replace(offer, folder=folder)
        found = files.read(self.dialect, path)
        wanted = {**self._missing(found), **self.wanted(offer)}
        plan = files.plan_edits(self.dialect, path, found, wanted, private)
        notes = (*plan.notes, self.note) if self.note else plan.notes
        # a client may not start without a file that its settings name
        return msgspec.structs.replace(plan, changes=self._listed(path, offer) + plan.changes, notes=notes)

    def undo(self, path: Path) -> Plan:
        """What undoing it would change. Raises Unparsable."""
        plan = files.plan_undo(self.dialect, path)
        return msgspec.structs.replace(plan, changes=plan.changes + self._listed(path, None))

    def _missing(self, found: files.Content) -> dict[texts.Path, Any]:
        """What the user's own part of the file lacks."""
        ours = {touched.path for touched in found.record.keys} if found.record else set()
        return {
            path: value
            for path, value in self.required.items()
            if path in ours or value_at(found.data, path) is None
        }

    def _listed(self, path: Path, offer: Offer | None) -> tuple[FileChange, ...]:
        if self.listing is None:
            return ()
        own = path.parent / self.listing.name
        after = None if offer is None else self.listing.content(offer)
        return change_of(own, read_or_none(own), after, ours=True)

    def own_endpoint(self, path: Path) -> Endpoint | None:
        """The endpoint that the file selects without Switchyard's set-up. Raises Unparsable."""
        return self.endpoint(files.without_setup(self.dialect, path))

    def read(self, path: Path) -> Json:
        """The file's values. Raises Unparsable."""
        return self.dialect.data(texts.decode(read_or_none(path) or b"").text)

    def snippet(self, offer: Offer) -> str:
        """What to paste into an empty file."""
        values = {**self.required, **self.wanted(offer)}
        if self.dialect is json_edit:
            return msgspec.json.format(msgspec.json.encode(_nested(values)), indent=2).decode()
        given = {path: self.dialect.render(value) for path, value in values.items() if value is not None}
        return self.dialect.edited("", given)


def _nested(values: Mapping[texts.Path, Any]) -> dict[str, Any]:
    """An object with these values at their paths; None is left out."""
    data: dict[str, Any] = {}
    for path, value in values.items():
        if value is None:
            continue
        parent = data
        for name in path[:-1]:
            parent = parent.setdefault(name, {})
        parent[path[-1]] = msgspec.to_builtins(value)
    return data


def config_folder(environment: Mapping[str, str], home: Path) -> Path:
    """The user's folder for configurations, as on Linux; many clients use it on macOS and Windows, too."""
    folder = environment.get("XDG_CONFIG_HOME")
    return Path(folder) if folder else home / ".config"


def first_present(*paths: Path) -> Path:
    """The first of these files that exists, else the last."""
    return next((path for path in paths if path.exists()), paths[-1])


def text_at(data: Json, *path: str) -> str:
    """The text at this path; "" for anything else."""
    found = value_at(data, path)
    return found if isinstance(found, str) else ""


def key_of(text: str) -> str:
    """The key as the settings file has it: a variable that the client names ($NAME, ${NAME}, {env:NAME}) by its name.

    "" for what only the client understands, such as $(command) and {file:path}.
    """
    if named := VARIABLE.fullmatch(text):
        return f"env:{named[1] or named[2]}"
    return "" if text[:1] in ("$", "{") else text


def chat_url(address: str) -> str:
    """The base URL of a daemon for clients of Chat Completions."""
    return posixpath.join(address.rstrip("/"), "openai/v1")

"""Point a client with a JSON file at the daemon, and undo that; what differs between such clients is data."""

import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from switchyard.clients import files, json_edit, texts
from switchyard.clients.edits import value_at
from switchyard.clients.plan import Endpoint, Plan
from switchyard.store.files import read_or_none

PROVIDER = "switchyard"
"""the id under which a client lists the daemon"""
ANY_KEY = "switchyard"
"""sent if the daemon needs no key: most clients refuse to start without one"""
OUTPUT_TOKENS = 32_000
"""the longest answer to ask for, where a client wants to know"""
DEFAULT_WINDOW = 128_000

Json = Mapping[str, Any]


class Offer(msgspec.Struct, frozen=True):
    """What the daemon offers a client: its base URL for Chat Completions, a key, the model to use, all models."""

    base_url: str
    key: str
    model: str
    models: Mapping[str, int] = {}
    """name -> context window; 0: unknown"""

    @property
    def windows(self) -> dict[str, int]:
        return {name: window or DEFAULT_WINDOW for name, window in {self.model: 0, **self.models}.items()}


class JsonClient(msgspec.Struct, frozen=True):
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

    def plan(self, path: Path, offer: Offer, private: bool) -> Plan:
        """What a set-up would change; `private`: the key is a real one. Raises Unparsable."""
        found = files.read(json_edit, path)
        plan = files.plan_edits(json_edit, path, found, self.wanted(offer), private)
        return msgspec.structs.replace(plan, notes=(*plan.notes, self.note)) if self.note else plan

    def undo(self, path: Path) -> Plan:
        """What undoing it would change. Raises Unparsable."""
        return files.plan_undo(json_edit, path)

    def read(self, path: Path) -> Json:
        """The file's values. Raises Unparsable."""
        return json_edit.data(texts.decode(read_or_none(path) or b"").text)

    def snippet(self, offer: Offer) -> str:
        """What to paste into an empty file."""
        text = ""
        for path, value in self.wanted(offer).items():
            text = text if value is None else json_edit.put(text, path, json_edit.render(value))
        return msgspec.json.format(text.encode(), indent=2).decode()


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


def is_literal(key: str) -> bool:
    """False for references such as $NAME, {env:NAME} and $(command), which only the client understands."""
    return bool(key) and key[0] not in "${"


def chat_url(address: str) -> str:
    """The base URL of a daemon for clients of Chat Completions."""
    return posixpath.join(address.rstrip("/"), "openai/v1")

"""The demo model's input: the last user text, the tool results after it, the offered tools."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from switchyard.protocols.neutral import ToolKind

Turn = tuple[Literal["user", "result", "assistant"], str]

# clients wrap what they add: <system-reminder>...</system-reminder>, <environment_context>...
ADDED_BY_CLIENT = re.compile(r"\s*<([\w-]+)>.*</\1>\s*", re.DOTALL)


class NotUnderstood(Exception):
    """The body is not a valid request of this protocol; the message names the field."""


class Offered(msgspec.Struct, frozen=True):
    """The form in which an offered tool is called."""

    kind: ToolKind = "function"
    namespace: str = ""


class Prompt(msgspec.Struct, frozen=True):
    model: str
    text: str
    results: tuple[str, ...] = ()
    tools: Mapping[str, Offered] = msgspec.field(default_factory=dict)
    stream: bool = False
    include_usage: bool = False
    follows_a_reply: bool = False


def last_turn(turns: Iterable[Turn]) -> tuple[str, tuple[str, ...], bool]:
    """The last user text, the tool results since then, and whether the model has answered before."""
    text, spoken = "", False
    results: tuple[str, ...] = ()
    for role, content in turns:
        if role == "assistant":
            spoken = True
        elif role == "result":
            results = (*results, content)
        elif content.strip() and not ADDED_BY_CLIENT.fullmatch(content):
            text, results = content, ()
    return text, results, spoken


def texts(content: Any) -> Iterator[str]:
    """The texts of a content that is a string or a list of parts of any type."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list; empty if it is not a list."""
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, dict))


def required_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise NotUnderstood(f"`{name}` must be a non-empty string")
    return value


def required_list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = body.get(name)
    if not isinstance(value, list) or not value:
        raise NotUnderstood(f"`{name}` must be a non-empty list")
    return value

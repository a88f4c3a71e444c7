"""Make and adapt the ids that tie a tool result to its call."""

import random
import re
from hashlib import sha256

from msgspec.structs import replace

from switchyard.protocols import neutral

OPENAI_MAX_LENGTH = 64
HASH_LENGTH = 8
ANTHROPIC_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")


def new_id(prefix: str) -> str:
    """A fresh id: the prefix and 24 random characters."""
    return f"{prefix}{random.getrandbits(96):024x}"


def anthropic_call_id(id: str) -> str:
    """The id in `[a-zA-Z0-9_-]`, the same for the same id, with a hash if anything changed."""
    adapted = ANTHROPIC_FORBIDDEN.sub("_", id)
    return id if adapted == id else f"{adapted}_{short_hash(id)}"


def openai_call_id(id: str) -> str:
    """The id in at most 64 characters, the same for the same id."""
    return shortened(id, OPENAI_MAX_LENGTH)


def shortened(text: str, max_length: int) -> str:
    """The text itself if it fits, otherwise its beginning and a hash of the whole."""
    if len(text) <= max_length:
        return text
    return f"{text[: max_length - HASH_LENGTH - 1]}_{short_hash(text)}"


def short_hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_LENGTH]


class ReplyIds:
    """Gives a call whose id was already used in the same answer an id of its own: results find their call by it."""

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, call: neutral.ToolCall) -> neutral.ToolCall:
        if call.id in self._used:
            call = replace(call, id=new_id("call_"))
        self._used.add(call.id)
        return call


def unique_call_ids(messages: tuple[neutral.Message, ...]) -> tuple[neutral.Message, ...]:
    """The n-th call of an already used id is renamed with the suffix `_n`, and so is its result.

    Some upstreams count their ids from zero in every turn (`functions.bash:0`).
    """
    renaming = _Renaming(messages)
    return tuple(renaming.renamed(message) for message in messages)


class _Renaming:
    """A result belongs to the oldest unanswered call of its id in the latest turn."""

    def __init__(self, messages: tuple[neutral.Message, ...]) -> None:
        self._used = {
            block.id
            for message in messages
            for block in message.content
            if isinstance(block, neutral.ToolCall)
        }
        self._seen: dict[str, int] = {}
        self._waiting: dict[str, list[str]] = {}
        self._latest: dict[str, str] = {}
        self._turn_of: dict[str, int] = {}
        self._turn = 0
        self._last_role = ""

    def renamed(self, message: neutral.Message) -> neutral.Message:
        if message.role == "assistant" and self._last_role != "assistant":
            self._turn += 1
        if message.role != "system":
            self._last_role = message.role
        return message.having(tuple([self._renamed_block(block) for block in message.content]))

    def _renamed_block(self, block: neutral.Block) -> neutral.Block:
        if isinstance(block, neutral.ToolCall):
            id = self._call_id(block.id)
            return block if id == block.id else replace(block, id=id)
        if isinstance(block, neutral.ToolResult):
            id = self._result_id(block.call_id)
            return block if id == block.call_id else replace(block, call_id=id)
        return block

    def _call_id(self, id: str) -> str:
        count = self._seen[id] = self._seen.get(id, 0) + 1
        name = id if count == 1 else self._free_name(id, count)
        if self._turn_of.get(id) != self._turn:
            self._waiting[id] = []
        self._turn_of[id] = self._turn
        self._waiting[id].append(name)
        self._latest[id] = name
        return name

    def _free_name(self, id: str, count: int) -> str:
        while (name := f"{id}_{count}") in self._used:
            count += 1
        self._used.add(name)
        return name

    def _result_id(self, id: str) -> str:
        waiting = self._waiting.get(id)
        return waiting.pop(0) if waiting else self._latest.get(id, id)

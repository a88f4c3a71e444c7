"""Cache marks: as many as the API allows, or none."""

import sys
from collections.abc import Iterator
from typing import Any

from switchyard.protocols.codec import Target
from switchyard.protocols.repair.messages.blocks import blocks_of, messages_of, rewrite_blocks
from switchyard.protocols.repair.rows import Body, drop, field, objects, rewrite, with_field, with_parts
from switchyard.protocols.wire import Json

MAX_CACHE_MARKS = 4
MARK = "cache_control"


def limit_marks(body: Body, _target: Target) -> None:
    """Four are allowed, tools counted; the oldest, which cover least, go first."""
    surplus = sum(place.get(MARK) is not None for place in _markable(body)) - MAX_CACHE_MARKS
    if surplus > 0:
        _drop_marks(body, surplus)


def drop_all_marks(body: Body, _target: Target) -> None:
    _drop_marks(body, sys.maxsize)


def _markable(body: Body) -> Iterator[Json]:
    """All that may bear a mark, in the order of the prompt."""
    for part in (body.get("tools"), body.get("system")):
        yield from objects(part)
    for message in messages_of(body):
        for block in blocks_of(message):
            yield from objects(block.get("content"))
            yield block
    yield {MARK: body.get(MARK)}


def _drop_marks(body: Body, left: int) -> None:
    """The first of them."""

    def bare(place: Any) -> Any:
        nonlocal left
        if not left or field(place, MARK) is None:
            return place
        left -= 1
        return with_field(place, MARK, None)

    def bare_block(block: Json) -> Any:
        inner = block.get("content")
        if isinstance(inner, list):
            block = with_parts(block, "content", [bare(part) for part in inner])
        return bare(block)

    for name in ("tools", "system"):
        rewrite(body, name, bare)
    rewrite_blocks(body, bare_block)
    if left:
        drop(body, (MARK,))

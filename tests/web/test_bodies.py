"""Request bodies that need much more memory or time than their size suggests."""

import asyncio
import random

import pytest
import zstandard

from switchyard.relay.decompress import DecompressionBomb
from switchyard.web.bodies import has_too_many_containers, unpacked

MEGABYTE = 1 << 20


async def beats_while_unpacking(content: bytes, limit: int) -> int:
    """How often other tasks ran."""
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    packed = zstandard.ZstdCompressor().compress(content)
    beating = asyncio.create_task(beat())
    try:
        assert await unpacked("zstd", packed, limit) == content
        return beats
    finally:
        beating.cancel()


def test_what_swells_is_unpacked_beside_the_event_loop() -> None:
    assert asyncio.run(beats_while_unpacking(bytes(32 * MEGABYTE), 64 * MEGABYTE)) > 0


def test_what_stays_small_takes_no_detour() -> None:
    assert asyncio.run(beats_while_unpacking(b"small", MEGABYTE)) == 0


@pytest.mark.parametrize("limit", [MEGABYTE // 2, 4 * MEGABYTE])
def test_what_swells_beyond_the_limit_is_refused(limit: int) -> None:
    with pytest.raises(DecompressionBomb):
        asyncio.run(beats_while_unpacking(bytes(8 * MEGABYTE), limit))


CODE = b'{"role":"user","content":"' + b"if (x[0]) { return f({a: [1, 2]}); } // and so on\\n" * 20 + b'"},'


@pytest.mark.parametrize(
    ("parts", "crowded"),
    [
        ([(b"[],", MEGABYTE)], False),
        ([(b"[],", 5 * MEGABYTE)], True),
        ([(b'{"a":{}},', 4 * MEGABYTE)], True),
        ([(b"a", 20 * MEGABYTE), (b"[],", 15 * MEGABYTE)], True),
        ([(b"a", 60 * MEGABYTE)], False),
        ([(CODE, 30 * MEGABYTE // len(CODE))], False),
    ],
    ids=["few", "lists", "objects", "behind words", "words", "code"],
)
def test_a_pile_of_brackets_is_distinguished_from_words(
    parts: list[tuple[bytes, int]], crowded: bool
) -> None:
    body = b"".join(part * times for part, times in parts)
    for seed in range(5):
        assert has_too_many_containers(body, random.Random(seed).randrange) is crowded

"""Read the body of a client's request: limited in size, decompressed, without too many containers."""

import asyncio
from collections.abc import Callable
from random import randrange

from switchyard.relay.decompress import DecompressionBomb, unpack_whole
from switchyard.web.asgi import Receive, Scope, header, read_body

AT_ONCE_BYTES = 1024 * 1024
"""larger bodies are decompressed in a thread, as they would delay other streams"""
SAMPLES = 64
SAMPLE_BYTES = 1024
MOST_CONTAINERS = 4_000_000
"""a list takes a hundred times its two bytes in memory; no conversation has this many"""


class TooManyContainers(Exception):
    """The body consists of lists and objects rather than text."""


async def take_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, decompressed. Raises BodyTooLarge, ClientLeft, UnpackError or TooManyContainers."""
    body = await read_body(scope, receive, limit)
    encoding = header(scope, b"content-encoding")
    if encoding:
        body = await unpacked(encoding, body, limit)
    if has_too_many_containers(body):
        raise TooManyContainers
    return body


async def unpacked(encoding: str, body: bytes, limit: int) -> bytes:
    """Decompress the body, in a thread if the result may be large. Raises UnpackError."""
    try:
        return unpack_whole(encoding, body, min(limit, AT_ONCE_BYTES))
    except DecompressionBomb:
        return await asyncio.to_thread(unpack_whole, encoding, body, limit)


def has_too_many_containers(body: bytes, pick: Callable[[int], int] = randrange) -> bool:
    """Estimated from samples at unpredictable positions: counting all of them takes longer than the whole request."""
    if len(body) <= MOST_CONTAINERS // 2:
        return False
    places = [pick(len(body) - SAMPLE_BYTES) for _ in range(SAMPLES)]
    samples = b"".join([body[place : place + SAMPLE_BYTES] for place in places])
    found = samples.count(b"[") + samples.count(b"{")
    return found * len(body) > MOST_CONTAINERS * len(samples)

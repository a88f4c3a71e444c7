"""Take the body of a client's request: bounded, unpacked, and no pile of brackets."""

import asyncio
from collections.abc import Callable
from random import randrange

from switchyard.relay.decompress import DecompressionBomb, unpack_whole
from switchyard.web.asgi import Receive, Scope, header, read_body

AT_ONCE_BYTES = 1024 * 1024
"""unpacking more would hold up the streams of others"""
SAMPLES = 64
SAMPLE_BYTES = 1024
MOST_CONTAINERS = 4_000_000
"""a list takes a hundred times its two bytes in memory; so many are more than any conversation has"""


class TooManyContainers(Exception):
    """The body is made of lists and objects rather than of words."""


async def take_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, unpacked. Raises BodyTooLarge, ClientLeft, UnpackError or TooManyContainers."""
    body = await read_body(scope, receive, limit)
    encoding = header(scope, b"content-encoding")
    if encoding:
        body = await unpacked(encoding, body, limit)
    if has_too_many_containers(body):
        raise TooManyContainers
    return body


async def unpacked(encoding: str, body: bytes, limit: int) -> bytes:
    """A few bytes may become very many: those are unpacked in a thread. Raises UnpackError."""
    try:
        return unpack_whole(encoding, body, min(limit, AT_ONCE_BYTES))
    except DecompressionBomb:
        return await asyncio.to_thread(unpack_whole, encoding, body, limit)


def has_too_many_containers(body: bytes, pick: Callable[[int], int] = randrange) -> bool:
    """Judged by samples, at places that nobody can foresee: to count all takes longer than to read the head."""
    if len(body) <= MOST_CONTAINERS // 2:
        return False
    places = [pick(len(body) - SAMPLE_BYTES) for _ in range(SAMPLES)]
    samples = b"".join([body[place : place + SAMPLE_BYTES] for place in places])
    found = samples.count(b"[") + samples.count(b"{")
    return found * len(body) > MOST_CONTAINERS * len(samples)

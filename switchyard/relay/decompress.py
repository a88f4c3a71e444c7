"""Unpack what an upstream compressed although it was asked not to; every step is bounded."""

import zlib
from collections.abc import Callable
from typing import Protocol

import brotli
import zstandard

STEP_BYTES = 1024 * 1024
"""at most so much comes out of one step: a bomb shows itself to the limits of the reader"""


class UnpackError(Exception):
    """The bytes are not what `content-encoding` says, or swell beyond all measure."""


class _Unpacker(Protocol):
    def feed(self, chunk: bytes) -> list[bytes]: ...


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self._raw_deflate_possible = window_bits == zlib.MAX_WBITS

    def feed(self, chunk: bytes) -> list[bytes]:
        try:
            return self._steps(chunk)
        except zlib.error:
            if not self._raw_deflate_possible:
                raise
            # "deflate" means zlib by the standard, but raw deflate is common
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            self._raw_deflate_possible = False
            return self._steps(chunk)

    def _steps(self, chunk: bytes) -> list[bytes]:
        pieces = [self._inner.decompress(chunk, STEP_BYTES)]
        while self._inner.unconsumed_tail:
            pieces.append(self._inner.decompress(self._inner.unconsumed_tail, STEP_BYTES))
            if len(pieces) > MAX_STEPS:
                raise UnpackError("compressed answer swells beyond 256 MB")
        self._raw_deflate_possible = False
        return pieces


MAX_STEPS = 256


class _Simple:
    """brotli and zstd: their own objects bound the window, the reader's limits bound the rest."""

    def __init__(self, step: Callable[[bytes], bytes]) -> None:
        self._step = step

    def feed(self, chunk: bytes) -> list[bytes]:
        # small slices keep one step's output small, whatever the ratio
        return [self._step(chunk[at : at + 4096]) for at in range(0, len(chunk), 4096)]


FACTORIES: dict[str, Callable[[], _Unpacker]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "br": lambda: _Simple(brotli.Decompressor().process),
    "zstd": lambda: _Simple(zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj().decompress),
}
ERRORS = (zlib.error, brotli.error, zstandard.ZstdError)


class Unpacker:
    """Undoes a `content-encoding` header, several codings included."""

    def __init__(self, encoding: str) -> None:
        names = [name.strip().lower() for name in encoding.split(",")]
        names = [name for name in names if name and name != "identity"]
        unknown = [name for name in names if name not in FACTORIES]
        if unknown or len(names) > 2:
            raise UnpackError(f"content-encoding {encoding!r} is not understood")
        self._chain = [FACTORIES[name]() for name in reversed(names)]

    @property
    def is_needed(self) -> bool:
        return bool(self._chain)

    def feed(self, chunk: bytes) -> bytes:
        """The unpacked bytes of this chunk. Raises UnpackError."""
        try:
            for unpacker in self._chain:
                chunk = b"".join(unpacker.feed(chunk))
        except ERRORS as error:
            raise UnpackError(f"compressed answer cannot be unpacked: {error}") from None
        return chunk


def unpack_whole(encoding: str, body: bytes, limit: int) -> bytes:
    """A request body, unpacked. Raises UnpackError when it is broken or larger than `limit` bytes."""
    unpacker = Unpacker(encoding)
    if not unpacker.is_needed:
        return body
    pieces: list[bytes] = []
    size = 0
    for at in range(0, len(body), 65536):
        pieces.append(unpacker.feed(body[at : at + 65536]))
        size += len(pieces[-1])
        if size > limit:
            raise UnpackError(f"unpacked body is larger than {limit} bytes")
    return b"".join(pieces)

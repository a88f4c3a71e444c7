"""Decompress bodies, with a limit at every step, so that a decompression bomb is noticed early."""

import zlib
from collections.abc import Callable
from typing import IO, Protocol, cast

import brotli
import zstandard

STEP_BYTES = 1024 * 1024
SLICE_BYTES = 64 * 1024
MOST_PER_CHUNK = 16 * 1024 * 1024
"""the decompressed size of one chunk: text compresses ten to one, a bomb a thousand to one or more"""
MAX_WINDOW = 2**27
ZSTD_BYTES = 1024
"""in one go: 4 bytes can become 128 KB"""
GZIP = zlib.MAX_WBITS | 16
MEMBER = b"\x1f"
"""the first byte of a gzip member"""
MEMBERS_BYTES = 4 * 1024
"""so much of a chunk is looked at in one go: each end of a member copies what follows"""


class UnpackError(Exception):
    """The bytes do not match `content-encoding`."""


class DecompressionBomb(UnpackError):
    """The decompressed data exceeds the limit."""


class _Unpacker(Protocol):
    def feed(self, chunk: bytes, bound: int) -> bytes:
        """Raises DecompressionBomb if the result has more than `bound` bytes."""
        ...


class _Deflate:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj()
        self._raw_deflate_possible = True
        self._begun = b""

    def feed(self, chunk: bytes, bound: int) -> bytes:
        if not self._raw_deflate_possible:
            return self._steps(chunk, bound)
        # "deflate" means zlib by the standard, but raw deflate is common; the first two bytes differ
        chunk = self._begun + chunk
        if len(chunk) < 2:
            self._begun = chunk
            return b""
        self._raw_deflate_possible = False
        if int.from_bytes(chunk[:2]) % 31 or chunk[0] & 15 != zlib.DEFLATED:
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
        return self._steps(chunk, bound)

    def _steps(self, chunk: bytes, bound: int) -> bytes:
        out = _Bounded(bound)
        _inflate(self._inner, chunk, out)
        return out.joined()


class _Gzip:
    """One or more members, one after the other: each is a file of its own (RFC 1952, section 2.2)."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(GZIP)

    def feed(self, chunk: bytes, bound: int) -> bytes:
        out = _Bounded(bound)
        for at in range(0, len(chunk), MEMBERS_BYTES):
            self._members(chunk[at : at + MEMBERS_BYTES], out)
        return out.joined()

    def _members(self, chunk: bytes, out: "_Bounded") -> None:
        rest = self._inflated(chunk, out) if not self._inner.eof else chunk
        # zeros may fill up the last block of a tape; anything else after the last member is no content either
        while rest := rest.lstrip(b"\0"):
            if not rest.startswith(MEMBER):
                return
            self._inner = zlib.decompressobj(GZIP)
            rest = self._inflated(rest, out)

    def _inflated(self, chunk: bytes, out: "_Bounded") -> bytes:
        """What follows the end of the member, if it ends in this chunk."""
        _inflate(self._inner, chunk, out)
        return self._inner.unused_data


def _inflate(inner: "zlib._Decompress", chunk: bytes, out: "_Bounded") -> None:
    out.add(inner.decompress(chunk, STEP_BYTES))
    # at the end of a stream zlib also leaves what follows there
    while inner.unconsumed_tail and not inner.eof:
        out.add(inner.decompress(inner.unconsumed_tail, STEP_BYTES))


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    def feed(self, chunk: bytes, bound: int) -> bytes:
        out = _Bounded(bound)
        piece = self._inner.process(chunk, output_buffer_limit=STEP_BYTES)
        while piece:
            out.add(piece)
            # `can_accept_more_data` is true even while there is more to come
            piece = self._inner.process(b"", output_buffer_limit=STEP_BYTES)
        return out.joined()


class _Zstd:
    def __init__(self) -> None:
        self._out = _Bounded()
        inner = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        # the other interfaces of the library decompress a chunk at once, however large the result
        self._inner = inner.stream_writer(cast(IO[bytes], self._out), closefd=False)

    def feed(self, chunk: bytes, bound: int) -> bytes:
        self._out.set_bound(bound)
        for start in range(0, len(chunk), ZSTD_BYTES):
            self._inner.write(chunk[start : start + ZSTD_BYTES])
            self._out.check()
        return self._out.joined()


class _Bounded:
    """Pieces whose total size is limited."""

    def __init__(self, bound: int = 0) -> None:
        self.set_bound(bound)

    def set_bound(self, bound: int) -> None:
        self._bound = bound
        self._size = 0
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self.write(piece)
        self.check()

    def write(self, piece: bytes) -> int:
        """What is too much is dropped; `check` raises. zstandard 0.25 never frees 128 KB if this raises."""
        self._size += len(piece)
        if self._size <= self._bound:
            self._pieces.append(bytes(piece))
        return len(piece)

    def check(self) -> None:
        if self._size > self._bound:
            self._pieces.clear()
            raise DecompressionBomb(f"the compressed data decompresses to more than {self._bound >> 20} MB")

    def joined(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


FACTORIES: dict[str, Callable[[], _Unpacker]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
ERRORS = (zlib.error, brotli.error, zstandard.ZstdError)


class Unpacker:
    """Undoes a `content-encoding` header with one or more codings."""

    def __init__(self, encoding: str) -> None:
        names = [name.strip().lower() for name in encoding.split(",")]
        names = [name for name in names if name and name != "identity"]
        unknown = [name for name in names if name not in FACTORIES]
        if unknown or len(names) > 2:
            raise UnpackError(f"content-encoding {encoding[:100]!r} is not understood")
        self._chain = [FACTORIES[name]() for name in reversed(names)]

    @property
    def is_needed(self) -> bool:
        return bool(self._chain)

    def feed(self, chunk: bytes, bound: int = MOST_PER_CHUNK) -> bytes:
        """The decompressed bytes of this chunk. Raises UnpackError; the limit holds for each coding of a chain."""
        try:
            for unpacker in self._chain:
                chunk = unpacker.feed(chunk, bound)
        except ERRORS as error:
            raise UnpackError(f"the compressed data cannot be unpacked: {error}") from None
        return chunk


def unpack_whole(encoding: str, body: bytes, limit: int) -> bytes:
    """A request body, decompressed. Raises UnpackError if it is broken or larger than `limit` bytes."""
    unpacker = Unpacker(encoding)
    if not unpacker.is_needed:
        return body
    pieces: list[bytes] = []
    size = 0
    for at in range(0, len(body), SLICE_BYTES):
        pieces.append(unpacker.feed(body[at : at + SLICE_BYTES], limit))
        size += len(pieces[-1])
        if size > limit:
            raise DecompressionBomb(f"unpacked, it is larger than {limit >> 20} MB")
    return b"".join(pieces)

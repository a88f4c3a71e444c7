"""Whatever a body swells to, no more than the limit is ever held."""

import resource
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard

from switchyard.relay.decompress import MOST_PER_CHUNK, DecompressionBomb, Unpacker, UnpackError, unpack_whole
from tests.bed.patience import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
TEXT = b"".join(b"line %d of a text that packs well\n" % number for number in range(20_000))


def _gzip(content: bytes) -> bytes:
    return zlib.compress(content, 9, wbits=31)


def _raw_deflate(content: bytes) -> bytes:
    return zlib.compress(content, 9, wbits=-15)


def _zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(content)


def _brotli(content: bytes) -> bytes:
    packed: bytes = brotli.compress(content, quality=5)
    return packed


def _thirds(content: bytes) -> list[bytes]:
    cut = len(content) // 3
    return [content[:cut], content[cut : 2 * cut], content[2 * cut :]]


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", _gzip),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", _raw_deflate),
    "brotli": ("br", _brotli),
    "zstd": ("zstd", _zstd),
    "gzip in three members": ("gzip", lambda content: b"".join(map(_gzip, _thirds(content)))),
    "gzip with an empty member": ("gzip", lambda content: _gzip(b"") + _gzip(content) + _gzip(b"")),
    "gzip, filled up with zeros": ("gzip", lambda content: _gzip(content) + bytes(512)),
    "zstd in three frames": ("zstd", lambda content: b"".join(map(zstandard.compress, _thirds(content)))),
    "gzip in zstd": ("gzip, zstd", lambda content: _zstd(_gzip(content))),
    "nothing": ("identity", lambda content: content),
}


@pytest.mark.parametrize("size", [1, 7, 1000, 1_000_000])
@pytest.mark.parametrize("name", PACKERS)
def test_the_content_comes_back_at_any_chunking(name: str, size: int) -> None:
    encoding, pack = PACKERS[name]
    packed = pack(TEXT)
    unpacker = Unpacker(encoding)

    chunks = [unpacker.feed(packed[at : at + size]) for at in range(0, len(packed), size)]

    assert b"".join(chunks) == TEXT
    assert unpack_whole(encoding, packed, len(TEXT)) == TEXT


@pytest.mark.parametrize("name", [name for name in PACKERS if name != "nothing"])
def test_a_body_larger_than_the_limit_is_distinguished_from_a_broken_one(name: str) -> None:
    encoding, pack = PACKERS[name]
    with pytest.raises(DecompressionBomb):
        unpack_whole(encoding, pack(TEXT), len(TEXT) - 1)
    with pytest.raises(UnpackError) as broken:
        unpack_whole(encoding, b"\xff\x00 no such thing" * 10, len(TEXT))
    assert not isinstance(broken.value, DecompressionBomb)


@pytest.mark.parametrize("name", PACKERS)
def test_megabytes_out_of_a_few_bytes_come_whole(name: str) -> None:
    encoding, pack = PACKERS[name]
    content = b'{"input": "' + b"a" * 3_000_000 + b'"}'

    assert unpack_whole(encoding, pack(content), 4_000_000) == content


@pytest.mark.parametrize("encoding", ["rot13", "gzip, gzip, gzip", "x" * 5000])
def test_other_codings_are_refused_in_a_short_sentence(encoding: str) -> None:
    with pytest.raises(UnpackError) as refused:
        Unpacker(encoding)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", ["gzip", "brotli", "zstd", "gzip in zstd"])
def test_one_chunk_of_a_bomb_is_not_unpacked_to_its_end(name: str) -> None:
    encoding, pack = PACKERS[name]
    with pytest.raises(DecompressionBomb):
        Unpacker(encoding).feed(pack(bytes(4 * MOST_PER_CHUNK)))


# 640 MB of zeros in a few kilobytes; a process of its own, so that nothing else has raised its peak before
BOMB = """
import sys, zlib, brotli, zstandard
from switchyard.relay.decompress import DecompressionBomb, unpack_whole
from tests.relay.test_decompress import peak_megabytes

def packed(packer):
    zeros = bytes(1 << 20)
    pieces = [getattr(packer, "compress", None) or packer.process][0]
    return b"".join(pieces(zeros) for _ in range(640)) + (getattr(packer, "finish", None) or packer.flush)()

packers = {
    "gzip": lambda: zlib.compressobj(9, wbits=31),
    "br": lambda: brotli.Compressor(quality=1),
    "zstd": lambda: zstandard.ZstdCompressor().compressobj(),
}
bomb = packed(packers[sys.argv[1]]())
if len(sys.argv) > 2:
    bomb = zlib.compress(bomb, 9, wbits=31)
before = peak_megabytes()
try:
    unpack_whole(sys.argv[1] + (", gzip" if len(sys.argv) > 2 else ""), bomb, 64 << 20)
except DecompressionBomb:
    print(peak_megabytes() - before)
"""


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("arguments", [("gzip",), ("br",), ("zstd",), ("gzip", "nested")], ids=" ".join)
def test_a_bomb_takes_little_more_memory_than_the_limit(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", BOMB, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )

    assert float(done.stdout) < 200, done


def test_refused_bombs_leave_no_memory_behind() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 * 1024 * 1024))

    def refuse() -> None:
        with pytest.raises(DecompressionBomb):
            Unpacker("zstd").feed(bomb)

    refuse()
    tracemalloc.start()
    try:
        for _ in range(20):
            refuse()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1024 * 1024

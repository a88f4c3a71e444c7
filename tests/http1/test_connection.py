"""One connection against a server in bytes: every framing, every break, cut anywhere."""

import asyncio
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.http1.connection import Connection
from switchyard.http1.errors import ConnectionBroken, Http1Error, NotHttp, Unanswered
from switchyard.http1.raw_reply import BUFFER_BYTES, RawReply
from switchyard.http1.request import Origin


class Wire:
    """A transport that only notes what is done with it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.notes: list[str] = []
        self.unsent_bytes = 0
        self.closed = False

    def write(self, octets: bytes | memoryview) -> None:
        self.written.append(bytes(octets))

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.notes.append("pause")

    def resume_reading(self) -> None:
        self.notes.append("resume")


class Bench:
    """A connection on such a wire; `freed` counts how often it was given back."""

    def __init__(self) -> None:
        self.freed_count = 0
        self.wire = Wire()
        self.connection = Connection(Origin("http", "host", 80), self)
        self.connection.connection_made(cast(asyncio.Transport, self.wire))

    def freed(self, connection: Connection) -> None:
        self.freed_count += 1

    def lost(self, connection: Connection) -> None: ...

    @property
    def was_kept(self) -> bool:
        return self.freed_count == 1 and not self.wire.closed

    async def hear(
        self, packets: list[bytes], end: str = "", *, skips_body: bool = False
    ) -> tuple[RawReply, asyncio.Task[RawReply]]:
        """Ask, and let the server answer so."""
        before = len(self.wire.written)
        asking = asyncio.create_task(self.connection.exchange(b"head", skips_body=skips_body))
        while len(self.wire.written) == before:
            await asyncio.sleep(0)
        for packet in packets:
            if not self.wire.closed:
                self.connection.data_received(packet)
        if end == "eof" and not self.wire.closed:
            self.connection.eof_received()
        if end == "reset" and not self.wire.closed:
            self.connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        return await asking, asking


async def whole(reply: RawReply) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks()])


def answer_to(packets: list[bytes], end: str = "", *, skips_body: bool = False) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection was kept. Raises Http1Error."""

    async def work() -> tuple[int, bytes, bool]:
        bench = Bench()
        reply, _ = await bench.hear(packets, end, skips_body=skips_body)
        return reply.status, await whole(reply), bench.was_kept

    return asyncio.run(work())


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
GOOD: dict[str, tuple[bytes, str, tuple[int, bytes, bool]]] = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "", (200, b"hello", True)),
    "no bytes": (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "", (500, b"", True)),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\na", "", (200, b"a", True)),
    "no content": (b"HTTP/1.1 204 None\r\n\r\n", "", (204, b"", True)),
    "not modified, with a length": (
        b"HTTP/1.1 304 Not\r\ncontent-length: 5\r\n\r\n",
        "",
        (304, b"", True),
    ),
    "chunks": (CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "", (200, b"abcde", True)),
    "chunks with extensions": (CHUNKED + b'3;a="b"\r\nabc\r\n0;c\r\n\r\n', "", (200, b"abc", True)),
    "chunks with trailers": (CHUNKED + b"1\r\na\r\n0\r\nx-a: b\r\nx-c: d\r\n\r\n", "", (200, b"a", True)),
    "chunks with padded sizes": (CHUNKED + b"1  \r\na\r\n0\r\n\r\n", "", (200, b"a", True)),
    "bare line feeds": (b"HTTP/1.1 200 OK\ncontent-length: 1\n\na", "", (200, b"a", True)),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nto the end", "eof", (200, b"to the end", False)),
    "until close, old": (b"HTTP/1.0 200 OK\r\n\r\nold", "eof", (200, b"old", False)),
    "old, with a length": (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold", "", (200, b"old", False)),
    "old, kept": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nold",
        "",
        (200, b"old", True),
    ),
    "asked to close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 1\r\n\r\na",
        "",
        (200, b"a", False),
    ),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: a\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
        "",
        (200, b"a", True),
    ),
    "too many bytes": (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", "", (200, b"a", False)),
    "two answers": (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na" * 2, "", (200, b"a", False)),
    "bytes after chunks": (CHUNKED + b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "", (200, b"a", False)),
    "body without being asked": (b"HTTP/1.1 204 None\r\ncontent-length: 3\r\n\r\nabc", "", (204, b"", False)),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("cut", ["whole", "byte by byte"])
def test_an_answer_comes_in_every_framing(name: str, cut: str) -> None:
    octets, end, expected = GOOD[name]
    packets = [octets] if cut == "whole" else [octets[at : at + 1] for at in range(len(octets))]
    assert answer_to(packets, end) == expected


@given(st.sampled_from(sorted(GOOD)), st.lists(st.integers(0, 200), max_size=8))
@settings(max_examples=300)
def test_where_packets_end_changes_nothing(name: str, cuts: list[int]) -> None:
    octets, end, expected = GOOD[name]
    edges = sorted({0, *(cut for cut in cuts if cut < len(octets)), len(octets)})
    packets = [octets[start:stop] for start, stop in pairwise(edges)]
    assert answer_to(packets, end) == expected


@pytest.mark.parametrize(
    ("octets", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", False),
    ],
)
def test_the_answer_to_head_has_no_body(octets: bytes, kept: bool) -> None:
    assert answer_to([octets], skips_body=True) == (200, b"", kept)


def test_a_connection_serves_any_answer_after_one_to_head() -> None:
    async def work() -> bytes:
        bench = Bench()
        await bench.hear([b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"], skips_body=True)
        reply, _ = await bench.hear([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"])
        return await whole(reply)

    assert asyncio.run(work()) == b"hi"


def test_headers_keep_their_order_and_their_repetitions() -> None:
    async def work() -> list[tuple[str, str]]:
        lines = [b"Set-Cookie: a", b"X-B:  \xe9 ", b"set-cookie: b", b"X-Empty:", b"content-length: 0"]
        reply, _ = await Bench().hear([HEAD + b"\r\n".join(lines) + b"\r\n\r\n"])
        return reply.headers

    assert asyncio.run(work()) == [
        ("set-cookie", "a"),
        ("x-b", "é"),
        ("set-cookie", "b"),
        ("x-empty", ""),
        ("content-length", "0"),
    ]


ENDLESS = b"x" * 5000
HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN: dict[str, tuple[list[bytes], str, type[Exception], str]] = {
    "nothing": ([], "eof", Unanswered, "closed the connection without an answer"),
    "reset": ([], "reset", Unanswered, "closed the connection without an answer"),
    "half a head": ([HEAD + b"content-l"], "eof", ConnectionBroken, "broke within the headers"),
    "half a head, reset": ([HEAD], "reset", ConnectionBroken, "broke within the headers"),
    "only an interim answer": ([b"HTTP/1.1 100 C\r\n\r\n"], "eof", ConnectionBroken, "within the headers"),
    "too short": ([HEAD + b"content-length: 5\r\n\r\nhel"], "eof", ConnectionBroken, "before the end"),
    "too short, reset": (
        [HEAD + b"content-length: 5\r\n\r\nhel"],
        "reset",
        ConnectionBroken,
        "before the end",
    ),
    "chunks cut": ([CHUNKED + b"5\r\nhel"], "eof", ConnectionBroken, "before the end"),
    "chunks without the last": ([CHUNKED + b"1\r\na\r\n"], "eof", ConnectionBroken, "before the end"),
    "trailers cut": ([CHUNKED + b"0\r\nx-a"], "eof", ConnectionBroken, "before the end"),
    "until close, reset": ([HEAD + b"\r\nsome"], "reset", ConnectionBroken, "before the end"),
    "wrong chunk size": ([CHUNKED + b"xyz\r\nabc"], "", NotHttp, "chunk size"),
    "wrong chunk end": ([CHUNKED + b"1\r\nabc"], "", NotHttp, "chunk"),
    "old as the hills": ([b"<html>hello</html>"], "", NotHttp, "Expected HTTP"),
    "another protocol": ([b"SSH-2.0-OpenSSH_9.6\r\n"], "", NotHttp, "Expected HTTP"),
    "TLS": ([b"\x15\x03\x01\x00\x02\x02\x46"], "", NotHttp, "Expected HTTP"),
    "HTTP/2 frames": ([b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"], "", NotHttp, "Expected HTTP"),
    "version 2": ([b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"], "", NotHttp, "not version 1.1"),
    "status 99": ([b"HTTP/1.1 099 Odd\r\n\r\n"], "", NotHttp, "status 99"),
    "switched": (
        [b"HTTP/1.1 101 Go\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"],
        "",
        NotHttp,
        "status 101",
    ),
    "two lengths": (
        [HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"],
        "",
        NotHttp,
        "Content-Length",
    ),
    "negative length": ([HEAD + b"content-length: -1\r\n\r\n"], "", NotHttp, "Content-Length"),
    "length of a giant": (
        [HEAD + b"content-length: 99999999999999999999\r\n\r\n"],
        "",
        NotHttp,
        "Content-Length",
    ),
    "null in a header": ([HEAD + b"x-a: b\0c\r\n\r\n"], "", NotHttp, "header"),
    "folded header": ([HEAD + b"x-a: b\r\n c\r\n\r\n"], "", NotHttp, "header"),
    "endless header": ([HEAD, b"x-a: ", *[ENDLESS] * 20], "", NotHttp, "endless headers"),
    "endless reason": ([b"HTTP/1.1 200 ", *[ENDLESS] * 20], "", NotHttp, "endless headers"),
    "endless headers": ([HEAD, *[b"x-a: b\r\n" * 500] * 20], "", NotHttp, "endless headers"),
    "large headers at once": ([HEAD + b"x-a: " + ENDLESS * 14 + b"\r\n\r\n"], "", NotHttp, "endless headers"),
    "too many headers": ([HEAD + b"x-a: b\r\n" * 201 + b"\r\n"], "", NotHttp, "endless headers"),
    "endless interim answers": ([b"HTTP/1.1 100 C\r\n\r\n"] * 33, "", NotHttp, "status 100"),
    "endless interim answers at once": ([b"HTTP/1.1 103 C\r\n\r\n" * 33], "", NotHttp, "status 103"),
    "endless trailers": ([CHUNKED + b"0\r\n", *[b"x-a: b\r\n" * 500] * 20], "", NotHttp, "endless"),
    "endless chunk extension": ([CHUNKED + b"1;", *[ENDLESS] * 20], "", NotHttp, "endless"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_distinguished_and_ends_the_connection(name: str) -> None:
    packets, end, kind, text = BROKEN[name]

    async def work() -> tuple[type[Exception], str, bool]:
        bench = Bench()
        try:
            reply, _ = await bench.hear(packets, end)
            await whole(reply)
        except Http1Error as error:
            return type(error), str(error), bench.was_kept
        raise AssertionError("no error")

    kind_found, text_found, was_kept = asyncio.run(work())
    assert (kind_found, was_kept) == (kind, False)
    assert text in text_found


def test_what_came_before_a_break_can_still_be_read() -> None:
    async def work() -> tuple[list[bytes], str]:
        reply, _ = await Bench().hear([CHUNKED + b"1\r\na\r\n", b"1\r\nb\r\nno size\r\n"])
        chunks = []
        with pytest.raises(NotHttp) as caught:
            async for chunk in reply.chunks():
                chunks.append(chunk)
        return chunks, str(caught.value)

    assert asyncio.run(work()) == ([b"a", b"b"], "Invalid character in chunk size")


def test_200_headers_of_64_kilobytes_in_all_are_taken() -> None:
    octets = HEAD + (b"x-a: " + b"b" * 300 + b"\r\n") * 199 + b"content-length: 0\r\n\r\n"
    assert answer_to([octets]) == (200, b"", True)


def test_one_packet_becomes_one_chunk_however_many_pieces_it_has() -> None:
    async def work() -> list[bytes]:
        packets = [CHUNKED + b"1\r\na\r\n" * 50, b"1\r\nb\r\n", b"1\r\nc\r\n" * 3 + b"0\r\n\r\n"]
        reply, _ = await Bench().hear(packets)
        return [chunk async for chunk in reply.chunks()]

    assert asyncio.run(work()) == [b"a" * 50, b"b", b"ccc"]


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([part for row in GOOD.values() for part in (row[0],)]))
)
@settings(max_examples=500)
def test_whatever_a_server_sends_ends_in_an_answer_or_a_typed_error(packets: list[bytes]) -> None:
    async def work() -> bool:
        bench = Bench()
        try:
            reply, _ = await bench.hear(packets, "eof")
            await whole(reply)
        except Http1Error:
            return bench.wire.closed
        return bench.wire.closed or bench.freed_count == 1

    assert asyncio.run(work())


# --- flow ----------------------------------------------------------------------


def test_a_reader_that_lags_makes_the_server_wait() -> None:
    async def work() -> tuple[list[str], list[str]]:
        bench = Bench()
        piece = b"x" * 100_000
        reply, _ = await bench.hear([HEAD + b"content-length: 1000000\r\n\r\n", piece, piece])
        assert bench.wire.notes == []
        bench.connection.data_received(piece)
        paused = list(bench.wire.notes)
        chunks = reply.chunks()
        await anext(chunks)
        assert bench.wire.notes == ["pause"]  # 200 kB are still there
        await anext(chunks)
        return paused, bench.wire.notes

    assert BUFFER_BYTES == 256 * 1024
    assert asyncio.run(work()) == (["pause"], ["pause", "resume"])


def test_a_finished_answer_gives_its_connection_back_before_it_is_read() -> None:
    async def work() -> tuple[list[str], int, bytes, bytes]:
        bench = Bench()
        body = b"x" * 300_000
        first, _ = await bench.hear([HEAD + b"content-length: 300001\r\n\r\n", body, b"y"])
        second, _ = await bench.hear([HEAD + b"content-length: 1\r\n\r\nz"])
        return bench.wire.notes, bench.freed_count, (await whole(first))[-2:], await whole(second)

    assert asyncio.run(work()) == (["pause", "resume"], 2, b"xy", b"z")


def test_an_answer_that_comes_before_its_request_has_left_ends_the_connection() -> None:
    async def work() -> tuple[bytes, bool, list[bytes]]:
        bench = Bench()
        asking = asyncio.create_task(bench.connection.exchange(b"head"))
        await asyncio.sleep(0)
        bench.connection.data_received(HEAD + b"content-length: 1\r\n\r\na")
        await asyncio.sleep(0)
        return await whole(await asking), bench.was_kept, bench.wire.written

    # the request must not be what a later one's answer is an answer to
    assert asyncio.run(work()) == (b"a", False, [])


def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    async def work() -> bool:
        bench = Bench()
        await bench.hear([HEAD + b"content-length: 0\r\n\r\n"])
        bench.connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        return bench.wire.closed

    assert asyncio.run(work())


@pytest.mark.parametrize(("size", "writes"), [(0, 1), (65536, 1), (65537, 2), (600_000, 4)])
def test_small_bodies_go_out_with_their_head_and_large_ones_in_slices(size: int, writes: int) -> None:
    async def work() -> list[bytes]:
        bench = Bench()
        asking = asyncio.create_task(bench.connection.exchange(b"head", b"x" * size))
        for _ in range(8):
            await asyncio.sleep(0)
        bench.connection.data_received(HEAD + b"content-length: 0\r\n\r\n")
        await asking
        assert bench.was_kept
        return bench.wire.written

    written = asyncio.run(work())
    assert (b"".join(written), len(written)) == (b"head" + b"x" * size, writes)


def test_a_slow_server_gets_the_next_slice_when_it_has_taken_the_last() -> None:
    async def work() -> list[int]:
        bench = Bench()
        asking = asyncio.create_task(bench.connection.exchange(b"head", b"x" * 600_000))
        await asyncio.sleep(0)
        bench.connection.pause_writing()
        counts = []
        for _ in range(3):
            await asyncio.sleep(0)
        counts.append(len(bench.wire.written))
        bench.connection.resume_writing()
        for _ in range(3):
            await asyncio.sleep(0)
        counts.append(len(bench.wire.written))
        asking.cancel()
        await asyncio.wait([asking])
        return counts

    assert asyncio.run(work()) == [2, 4]


@pytest.mark.parametrize("unsent", ["ours", "the system's"])
def test_an_answer_before_the_request_was_said_counts_and_ends_the_connection(unsent: str) -> None:
    async def work() -> tuple[int, bool]:
        bench = Bench()
        asking = asyncio.create_task(bench.connection.exchange(b"head", b"x" * 600_000))
        await asyncio.sleep(0)
        if unsent == "ours":
            bench.connection.pause_writing()
        else:
            for _ in range(8):
                await asyncio.sleep(0)
            bench.wire.unsent_bytes = 1
        bench.connection.data_received(b"HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n")
        return (await asking).status, bench.was_kept

    assert asyncio.run(work()) == (413, False)


@pytest.mark.parametrize("phase", ["before the headers", "within the body"])
def test_leaving_an_unfinished_answer_closes_the_socket_at_once(phase: str) -> None:
    async def work() -> bool:
        bench = Bench()
        if phase == "within the body":
            reply, _ = await bench.hear([CHUNKED + b"1\r\na\r\n"])
            await reply.close()
        else:
            asking = asyncio.create_task(bench.connection.exchange(b"head"))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
        return bench.wire.closed

    assert asyncio.run(work())


def test_closing_a_finished_answer_leaves_its_connection_alone() -> None:
    async def work() -> bool:
        bench = Bench()
        reply, _ = await bench.hear([HEAD + b"content-length: 1\r\n\r\na"])
        await reply.close()
        return bench.was_kept

    assert asyncio.run(work())

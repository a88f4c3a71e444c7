import asyncio
from itertools import count

import pytest

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import ProtocolName
from switchyard.relay.answering import keep_alive_record
from switchyard.relay.headers import Headers
from switchyard.relay.keep_alive import KeepAlive
from tests.bed.fake_time import now, run, settle

HEADERS: Headers = [("content-type", "text/event-stream")]


class ClientSide:
    """Notes what a client is sent, and when; each write takes `write_seconds`."""

    def __init__(self, write_seconds: float = 0.0) -> None:
        self.started = False
        self.written: list[tuple[float, str]] = []
        self._write_seconds = write_seconds

    async def start(self, status: int, headers: Headers) -> None:
        assert not self.started and headers == HEADERS
        self.started = True
        self.written.append((now(), f"start {status}"))

    async def write(self, data: bytes) -> None:
        if self._write_seconds:
            await asyncio.sleep(self._write_seconds)
        self.written.append((now(), data.decode()))

    async def end(self, data: bytes = b"") -> None:
        self.written.append((now(), f"{data.decode()}end"))

    async def cut(self) -> None:
        raise AssertionError("nothing is cut here")


def alive(sink: ClientSide, seconds: float = 15.0) -> KeepAlive:
    return KeepAlive(sink, seconds, HEADERS, lambda: b"pulse")


def test_an_idle_stream_is_started_and_kept_alive() -> None:
    async def scenario() -> list[tuple[float, str]]:
        sink = ClientSide()
        keep_alive = alive(sink)
        await asyncio.sleep(50.0)
        await keep_alive.stop()
        await asyncio.sleep(50.0)
        return sink.written

    assert run(scenario()) == [(15.0, "start 200"), (15.0, "pulse"), (30.0, "pulse"), (45.0, "pulse")]


def test_an_answer_in_time_meets_no_pulse() -> None:
    async def scenario() -> list[tuple[float, str]]:
        sink = ClientSide()
        keep_alive = alive(sink)
        await asyncio.sleep(14.9)
        await keep_alive.stop()
        return sink.written

    assert run(scenario()) == []


def test_keep_alives_are_written_only_while_the_answer_is_idle() -> None:
    async def scenario() -> list[tuple[float, str]]:
        sink = ClientSide()
        sink.started = True
        keep_alive = alive(sink)
        for pause, word in ((10.0, "a"), (14.0, "b"), (20.0, "c")):
            await asyncio.sleep(pause)
            await keep_alive.write(word.encode())
        await asyncio.sleep(16.0)
        await keep_alive.stop()
        return sink.written

    expected = [(10.0, "a"), (24.0, "b"), (39.0, "pulse"), (44.0, "c"), (59.0, "pulse")]
    assert run(scenario()) == expected


def test_the_record_changes_with_the_next_bytes_of_the_answer_and_not_before() -> None:
    async def scenario() -> list[str]:
        sink = ClientSide()
        keep_alive = alive(sink)
        await asyncio.sleep(16.0)
        keep_alive.switch_to(lambda: b"other")
        await asyncio.sleep(15.0)
        await keep_alive.write(b"word")
        await asyncio.sleep(16.0)
        await keep_alive.stop()
        return [word for _, word in sink.written]

    assert run(scenario()) == ["start 200", "pulse", "pulse", "word", "other"]


def test_no_pulse_comes_into_a_write_nor_a_write_into_a_pulse() -> None:
    async def scenario() -> list[tuple[float, str]]:
        sink = ClientSide(write_seconds=40.0)
        sink.started = True
        keep_alive = alive(sink)
        await asyncio.sleep(16.0)
        await keep_alive.write(b"word")
        await keep_alive.stop()
        return sink.written

    assert run(scenario()) == [(55.0, "pulse"), (95.0, "word")]


def test_a_keep_alive_is_made_before_the_bytes_that_wait_for_it() -> None:
    async def scenario() -> list[str]:
        numbers = count()
        sink = ClientSide()
        sink.started = True
        # the upstream's next words come in the very turn of the loop in which a pulse is due
        words_came = asyncio.Event()
        asyncio.get_running_loop().call_later(15.0, words_came.set)
        keep_alive = KeepAlive(sink, 15.0, HEADERS, lambda: b"pulse %d" % next(numbers))
        await words_came.wait()
        await keep_alive.write(b"word %d" % next(numbers))
        await keep_alive.stop()
        return [word for _, word in sink.written]

    assert run(scenario()) == ["pulse 0", "word 1"]


def test_stopping_waits_for_a_pulse_that_is_on_its_way() -> None:
    async def scenario() -> tuple[float, list[tuple[float, str]]]:
        sink = ClientSide(write_seconds=5.0)
        keep_alive = alive(sink)
        await asyncio.sleep(16.0)
        await keep_alive.stop()
        return now(), sink.written

    assert run(scenario()) == (20.0, [(15.0, "start 200"), (20.0, "pulse")])


@pytest.mark.parametrize("seconds", [1.0, 16.0])
def test_when_the_client_has_left_nothing_is_left_running(seconds: float) -> None:
    async def scenario() -> int:
        keep_alive = alive(ClientSide(write_seconds=100.0))
        await asyncio.sleep(seconds)
        keep_alive.abandon()
        await settle()
        return len(asyncio.all_tasks())

    assert run(scenario()) == 1


@pytest.mark.parametrize(
    ("protocol", "headers", "kind"),
    [
        ("messages", {}, "event"),
        ("chat", {}, "comment"),
        ("responses", {}, "comment"),
        ("responses", {"user-agent": "OpenAI/Python 3.52"}, "comment"),
        ("responses", {"originator": "codex_exec"}, "event"),
        ("responses", {"user-agent": "codex_cli_rs/0.169.0"}, "event"),
    ],
)
def test_each_program_is_shown_life_in_the_form_that_it_takes(
    protocol: ProtocolName, headers: dict[str, str], kind: str
) -> None:
    sign = keep_alive_record(CODECS[protocol], headers)
    assert sign.endswith(b"\n\n")
    assert ("comment" if sign.startswith(b":") else "event") == kind

"""Fake clients: they send one request after another, leave when they please, and judge what they get."""

import asyncio
import json
import random
import re
from dataclasses import dataclass
from typing import Any, Literal

import httptools

from tests.bed.wire import PROTOCOLS, Protocol
from tests.simulation.clocks import CLOCKS
from tests.simulation.network import Network
from tests.simulation.peer import Gone, Peer

PATHS: dict[Protocol, str] = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
AGENTS = {
    "messages": ("claude-cli/2.1", "sdk/1.0"),
    "chat": ("sdk/1.0",),
    "responses": ("codex_cli_rs/0.1", "sdk/1.0"),
}
WHOLE = re.compile(r"<(\d+)\|([a-z ]*)\|\1>")
PREFIX = re.compile(r"(<(\d+(\|([a-z ]*(\|\d*)?)?)?)?)?")
End = Literal["ok", "failed", "truncated", "cut", "left", "refused", "silent"]


@dataclass
class Result:
    """What one request came to, as its client sees it."""

    agent: str
    begun: float
    end: End = "silent"
    ended: float = 0.0
    number: int = 0
    """of the answer"""
    upstream: str = ""


class Client:
    def __init__(self, name: str, network: Network, random: random.Random, key: str) -> None:
        self.name = name
        self.results: list[Result] = []
        self.violations: list[str] = []
        self.ended: Any = lambda result: None
        """called as soon as the end of an answer is seen"""
        self._network, self._random, self._key = network, random, key
        self._peer: Peer | None = None
        self._session = f"00000000-0000-0000-0000-00000000000{random.randrange(3)}"
        self.protocol: Protocol = random.choice(PROTOCOLS)
        self.program = random.choice(AGENTS[self.protocol])

    async def run(self, requests: int, pauses: tuple[float, ...]) -> None:
        for number in range(requests):
            await asyncio.sleep(self._random.choice(pauses))
            try:
                await self._ask(f"{self.program} {self.name}r{number}")
            except Gone:
                return
        if self._peer is not None:
            self._peer.end.close()

    # --- one request ---------------------------------------------------------------------

    async def _ask(self, agent: str) -> None:
        result = Result(agent, CLOCKS.awake)
        if self._peer is None or self._peer.has_left:
            peer = Peer()
            if self._network.connect_client(peer) is None:
                result.end = "refused"
                self.results.append(result)
                raise Gone
            self._peer = peer
        self.results.append(result)
        is_stream = self._random.random() < 0.7
        leaves = asyncio.get_running_loop().create_task(self._leave(result, self._peer), name="client leaves")
        try:
            await self._exchange(self._peer, result, is_stream)
        except Gone:
            if result.end == "silent":
                result.end = "cut"
        finally:
            leaves.cancel()
        if result.end in ("left", "cut"):
            self._peer = None

    async def _leave(self, result: Result, peer: Peer) -> None:
        if self._random.random() < 0.65:
            return
        await asyncio.sleep(self._random.choice((0.0, 0.001, 0.05, 0.5, 3.0, 20.0)))
        if result.end == "silent":
            result.end = "left"
            if self._random.random() < 0.5:
                peer.end.abort()
            else:
                peer.end.close()
            result.ended = CLOCKS.awake
            peer.connection_lost(None)

    async def _exchange(self, peer: Peer, result: Result, is_stream: bool) -> None:
        """Raises Gone."""
        sent = self._request(result.agent, is_stream)
        cut = self._random.randrange(len(sent))
        peer.write(sent[:cut])
        if self._random.random() < 0.2:
            await asyncio.sleep(0.1)
        peer.write(sent[cut:])
        answer = Answer()
        reads_slowly = self._random.random() < 0.1
        while not answer.is_complete:
            if reads_slowly:
                peer.end.pause_reading()
                await asyncio.sleep(self._random.choice((0.1, 5.0)))
                peer.end.resume_reading()
            answer.feed(await peer.read())
            if b"sk-up" in answer.body:
                self.violations.append(f"{result.agent}: a key of an upstream in the answer")
        if answer.surplus:
            self.violations.append(f"{result.agent}: bytes after the end of the answer")
        self._judge(answer, result, is_stream)

    def _request(self, agent: str, is_stream: bool) -> bytes:
        text = {"role": "user", "content": f"question of {agent}"}
        body: dict[str, Any] = {"model": "m", "stream": is_stream}
        if self.protocol == "responses":
            body |= {"input": [text], "prompt_cache_key": self._session}
        else:
            body |= {"messages": [text], "max_tokens": 100}
        if self.protocol == "messages":
            body["metadata"] = {"user_id": f"user_session_{self._session}"}
        content = json.dumps(body).encode()
        head = [
            f"POST {PATHS[self.protocol]} HTTP/1.1",
            "host: localhost:5101",
            "content-type: application/json",
            f"user-agent: {agent}",
            f"authorization: Bearer {self._key}",
            f"content-length: {len(content)}",
        ]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + content

    # --- what it gets -----------------------------------------------------------------------

    def _judge(self, answer: "Answer", result: Result, is_stream: bool) -> None:
        result.upstream = answer.headers.get("x-switchyard-upstream", "")
        try:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                assert is_stream, "a stream that nobody wanted"
                text, end = _read_stream(self.protocol, answer.body)
            else:
                text, end = _read_whole(self.protocol, answer.status, answer.body)
            if end == "ok":
                found = WHOLE.fullmatch(text)
                assert found, f"the text is not one answer: {text[:100]!r}"
                result.number = int(found[1])
            else:
                is_right = PREFIX.fullmatch(text) or WHOLE.fullmatch(text)
                assert is_right, f"the text is not the beginning of one answer: {text[:100]!r}"
            result.end = end if end == "ok" or not text else "truncated"
        except (AssertionError, KeyError, IndexError, TypeError, ValueError) as error:
            self.violations.append(
                f"{result.agent}: no valid answer ({error!r}): {answer.status} {answer.body[:3000]!r}"
            )
            result.end = "failed"
        self.ended(result)


class Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_complete = False
        self.surplus = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        if self.is_complete:
            self.surplus = True
            return
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


def _read_whole(protocol: Protocol, status: int, body: bytes) -> tuple[str, End]:
    found = json.loads(body)
    if status != 200:
        assert found["error"]["message"], "an error without a message"
        return "", "failed"
    match protocol:
        case "messages":
            assert found["type"] == "message" and found["stop_reason"] == "end_turn", "not a whole message"
            return "".join(block["text"] for block in found["content"]), "ok"
        case "chat":
            assert found["choices"][0]["finish_reason"] == "stop", "no finish reason"
            return found["choices"][0]["message"]["content"], "ok"
        case "responses":
            assert found["status"] == "completed", "not completed"
            return "".join(part["text"] for item in found["output"] for part in item["content"]), "ok"


def _read_stream(protocol: Protocol, body: bytes) -> tuple[str, End]:
    """The text and how it ended: exactly one terminal event, and nothing behind it."""
    records = [record for part in body.split(b"\n\n") if (record := _record(part)) is not None]
    assert body.endswith(b"\n\n"), "the last record is torn"
    ends = [number for number, record in enumerate(records) if _end_of(protocol, record)]
    assert len(ends) == 1, f"{len(ends)} terminal events"
    assert ends[0] == len(records) - 1, "records after the terminal event"
    text = "".join(_text_of(protocol, record) for record in records)
    return text, _end_of(protocol, records[-1])  # type: ignore[return-value]


def _record(part: bytes) -> Any:
    lines = [line[5:].strip() for line in part.split(b"\n") if line.startswith(b"data:")]
    if not lines:
        return None
    return "[DONE]" if lines == [b"[DONE]"] else json.loads(b"\n".join(lines))


def _end_of(protocol: Protocol, record: Any) -> str:
    if record == "[DONE]":
        return "ok"
    kind = record.get("type", "")
    if protocol == "chat":
        return "failed" if "error" in record else ""
    return {
        "message_stop": "ok",
        "error": "failed",
        "response.completed": "ok",
        "response.incomplete": "ok",
        "response.failed": "failed",
    }.get(kind, "")


def _text_of(protocol: Protocol, record: Any) -> str:
    if record == "[DONE]":
        return ""
    match protocol:
        case "messages":
            text = record.get("delta", {}).get("text", "")
        case "chat":
            choices = record.get("choices") or [{}]
            text = choices[0].get("delta", {}).get("content")
        case "responses":
            text = record["delta"] if record["type"] == "response.output_text.delta" else ""
    return str(text or "")

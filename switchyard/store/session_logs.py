"""Read the token counts in the session logs of Claude Code and Codex."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from switchyard.store.local_time import local_moment

SYNTHETIC = "<synthetic>"
"""the model of messages that Claude Code wrote itself"""


class LoggedTurn(msgspec.Struct, frozen=True):
    """The tokens of one response, in disjoint parts, as the client counted them."""

    client: str
    session: str
    model: str
    day: str
    input: int
    cache_read: int
    cache_write: int
    output: int


class ClaudeUsage(msgspec.Struct, frozen=True):
    input_tokens: int | None = 0
    cache_read_input_tokens: int | None = 0
    cache_creation_input_tokens: int | None = 0
    output_tokens: int | None = 0


class ClaudeMessage(msgspec.Struct, frozen=True):
    id: str = ""
    model: str = ""
    usage: ClaudeUsage | None = None


class ClaudeLine(msgspec.Struct, frozen=True):
    message: ClaudeMessage
    timestamp: str
    requestId: str = ""
    sessionId: str = ""


class CodexUsage(msgspec.Struct, frozen=True):
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0


class CodexInfo(msgspec.Struct, frozen=True):
    total_token_usage: CodexUsage
    last_token_usage: CodexUsage | None = None


class CodexPayload(msgspec.Struct, frozen=True):
    type: str = ""
    id: str = ""
    model: str = ""
    info: CodexInfo | None = None


class CodexLine(msgspec.Struct, frozen=True):
    type: str
    timestamp: str
    payload: CodexPayload


def claude_turns(folder: Path, day: str, zone: tzinfo | None = None) -> list[LoggedTurn]:
    """The responses that Claude Code logged on a local day in `~/.claude/projects`.

    It writes a line for each block of a response, and again when a session is resumed, always with the same
    message id; the last line has the final numbers.
    """
    decoder = msgspec.json.Decoder(ClaudeLine)
    turns: dict[str, LoggedTurn] = {}
    for raw in _lines(folder, day, (b'"usage"',)):
        line = _decoded(decoder, raw)
        if line is None or line.message.usage is None or line.message.model == SYNTHETIC:
            continue
        key = line.message.id or line.requestId or f"{line.sessionId} {line.timestamp}"
        first = turns.get(key)
        usage = line.message.usage
        turns[key] = LoggedTurn(
            client="Claude Code",
            session=first.session if first else line.sessionId,
            model=line.message.model,
            day=first.day if first else _local_day(line.timestamp, zone),
            input=usage.input_tokens or 0,
            cache_read=usage.cache_read_input_tokens or 0,
            cache_write=usage.cache_creation_input_tokens or 0,
            output=usage.output_tokens or 0,
        )
    return [turn for turn in turns.values() if turn.day == day]


def codex_turns(folder: Path, day: str, zone: tzinfo | None = None) -> list[LoggedTurn]:
    """The responses that Codex logged on a local day in `~/.codex/sessions`.

    It repeats the last `token_count` when only its rate limits changed; the running total shows which one is new.
    """
    decoder = msgspec.json.Decoder(CodexLine)
    turns: dict[tuple[str, CodexUsage], LoggedTurn] = {}
    for path in _files(folder, day):
        session, model, before = "", "", CodexUsage()
        for raw in _lines_of(path, (b'"session_meta"', b'"turn_context"', b'"token_count"')):
            line = _decoded(decoder, raw)
            if line is None:
                continue
            payload = line.payload
            if line.type == "session_meta":
                session = session or payload.id
            model = payload.model or model
            if payload.info is None or payload.info.total_token_usage == before:
                continue
            total = payload.info.total_token_usage
            used = payload.info.last_token_usage or _difference(total, before)
            before = total
            # a forked session begins with a copy of its parent's lines
            turns.setdefault(
                (line.timestamp, total), _codex_turn(session, model, _local_day(line.timestamp, zone), used)
            )
    return [turn for turn in turns.values() if turn.day == day]


def _codex_turn(session: str, model: str, day: str, usage: CodexUsage) -> LoggedTurn:
    fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_input_tokens
    return LoggedTurn(
        client="Codex",
        session=session,
        model=model,
        day=day,
        input=max(0, fresh),
        cache_read=usage.cached_input_tokens,
        cache_write=usage.cache_write_input_tokens,
        output=usage.output_tokens,
    )


def _difference(later: CodexUsage, earlier: CodexUsage) -> CodexUsage:
    return CodexUsage(
        later.input_tokens - earlier.input_tokens,
        later.cached_input_tokens - earlier.cached_input_tokens,
        later.cache_write_input_tokens - earlier.cache_write_input_tokens,
        later.output_tokens - earlier.output_tokens,
    )


def _lines(folder: Path, day: str, wanted: tuple[bytes, ...]) -> Iterator[bytes]:
    for path in _files(folder, day):
        yield from _lines_of(path, wanted)


def _files(folder: Path, day: str) -> list[Path]:
    """The logs that were written on that day or later, in a fixed order."""
    since = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    try:
        return sorted(path for path in folder.rglob("*.jsonl") if path.stat().st_mtime >= since.timestamp())
    except OSError:
        return []


def _lines_of(path: Path, wanted: tuple[bytes, ...]) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for raw in file:
                if any(part in raw for part in wanted):
                    yield raw
    except OSError:
        return


def _decoded(decoder: "msgspec.json.Decoder[Any]", raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _local_day(timestamp: str, zone: tzinfo | None) -> str:
    try:
        return local_moment(datetime.fromisoformat(timestamp).timestamp(), zone).day
    except ValueError:
        return ""

"""Compare a day of the journal with the clients' own session logs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

import msgspec

from switchyard.plural import plural
from switchyard.store.journal import Journal
from switchyard.store.journal_line import Line
from switchyard.store.session_logs import LoggedTurn, claude_turns, codex_turns

PARTS = ("fresh input", "cache read", "cache write", "output")
CLIENT_OF_PROTOCOL = {"messages": "Claude Code", "responses": "Codex"}
UNFINISHED = ("cancelled", "truncated")


@dataclass(slots=True)
class Sums:
    """Requests and tokens by part."""

    requests: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0, 0, 0])

    def add(self, *parts: int) -> None:
        self.requests += 1
        self.tokens = [total + part for total, part in zip(self.tokens, parts, strict=True)]


class Comparison(msgspec.Struct, frozen=True):
    """One model of one client: its own log, and the journal for the sessions in that log."""

    client: str
    model: str
    logged: Sums
    counted: Sums
    unfinished: int
    """how many of the counted requests were cancelled or cut: a client may not log these"""

    @property
    def difference(self) -> list[int]:
        return [
            counted - logged for counted, logged in zip(self.counted.tokens, self.logged.tokens, strict=True)
        ]


class Verification(msgspec.Struct, frozen=True):
    """`outside` are counted requests of sessions without a log, by model: other clients, side tasks."""

    day: str
    comparisons: list[Comparison]
    outside: dict[str, Sums]

    @property
    def agrees(self) -> bool:
        return all(not any(comparison.difference) for comparison in self.comparisons)


def verify_text(
    data_folder: Path, day: str, claude_folder: Path, codex_folder: Path, zone: tzinfo | None = None
) -> str:
    """The output of `stats --verify`. The folders are `~/.claude/projects` and `~/.codex/sessions`."""
    turns = claude_turns(claude_folder, day, zone) + codex_turns(codex_folder, day, zone)
    return rendered(verify(day, turns, Journal(data_folder).lines_of_month(day[:7])))


def verify(day: str, turns: Iterable[LoggedTurn], lines: Iterable[Line]) -> Verification:
    """Add up both sides by client and model."""
    logged: dict[tuple[str, str], Sums] = {}
    counted: dict[tuple[str, str], Sums] = {}
    unfinished: dict[tuple[str, str], int] = {}
    outside: dict[str, Sums] = {}
    sessions: dict[str, str] = {}
    for turn in turns:
        sessions[turn.session] = turn.client
        sums = logged.setdefault((turn.client, turn.model), Sums())
        sums.add(turn.input, turn.cache_read, turn.cache_write, turn.output)
    for line in lines:
        usage = line.usage
        if line.day != day or line.kind != "request" or usage is None:
            continue
        client = sessions.get(line.session)
        where = (client or CLIENT_OF_PROTOCOL.get(line.client_protocol, ""), line.model)
        sums = counted.setdefault(where, Sums()) if client else outside.setdefault(line.model, Sums())
        sums.add(usage.input, usage.cache_read, usage.cache_write_5m + usage.cache_write_1h, usage.output)
        if client and line.outcome in UNFINISHED:
            unfinished[where] = unfinished.get(where, 0) + 1
    return Verification(
        day,
        [
            Comparison(
                *where, logged.get(where, Sums()), counted.get(where, Sums()), unfinished.get(where, 0)
            )
            for where in sorted(logged.keys() | counted.keys())
        ],
        outside,
    )


def rendered(verification: Verification) -> str:
    """The comparison as a table for the terminal."""
    if not verification.comparisons and not verification.outside:
        return f"{verification.day}: no entries in the journal and the session logs.\n"
    lines = [f"{verification.day}: the clients' session logs compared with the journal"]
    for comparison in verification.comparisons:
        lines += ("", f"{comparison.client}, {comparison.model}", _row("", ("log", "journal", "difference")))
        lines.append(_row("requests", _three(comparison.logged.requests, comparison.counted.requests)))
        sides = zip(PARTS, comparison.logged.tokens, comparison.counted.tokens, strict=True)
        lines += [_row(part, _three(logged, counted)) for part, logged, counted in sides]
        if comparison.unfinished:
            lines.append(f"  cancelled or cut requests in the journal: {comparison.unfinished}.")
    if verification.outside:
        lines += ("", "In the journal, but in no session log (other clients, side tasks such as titles):")
        lines += [
            f"  {model}: {plural(sums.requests, 'request')}, {plural(sum(sums.tokens), 'token')}"
            for model, sums in sorted(verification.outside.items())
        ]
    if verification.comparisons:
        lines += ("", "The tokens agree." if verification.agrees else "The tokens differ.")
    return "\n".join(lines) + "\n"


def _three(logged: int, counted: int) -> tuple[str, str, str]:
    return f"{logged:,}", f"{counted:,}", f"{counted - logged:+,}" if counted != logged else "0"


def _row(name: str, cells: tuple[str, str, str]) -> str:
    return f"  {name:<12}" + "".join(f"{cell:>14}" for cell in cells)

from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec

from switchyard.store.session_logs import LoggedTurn, claude_turns, codex_turns

DAY = "2026-11-21"


def write(path: Path, *lines: dict[str, Any] | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else msgspec.json.encode(line) for line in lines)
    )


def claude_line(
    message: str, output: int, at: str = "2026-11-21T05:33:13.150Z", **fields: Any
) -> dict[str, Any]:
    usage = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 900,
        "output_tokens": output,
        "cache_creation": {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 0},
        "service_tier": "standard",
    }
    answer = {
        "id": message,
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "usage": usage,
    }
    return {"type": "assistant", "timestamp": at, "sessionId": "s1", "message": answer | fields}


def claude_turn(output: int, session: str = "s1", day: str = DAY) -> LoggedTurn:
    return LoggedTurn("Claude Code", session, "claude-opus-5-5", day, 100, 900, 30, output)


def test_the_last_line_of_an_answer_counts_once(tmp_path: Path) -> None:
    write(
        tmp_path / "p1" / "a.jsonl",
        {"type": "user", "message": {"role": "user", "content": 'say "usage"'}, "timestamp": "x"},
        claude_line("msg_1", 1),
        claude_line("msg_1", 1),
        claude_line("msg_1", 57),
        claude_line("msg_2", 5),
        claude_line("msg_3", 0, model="<synthetic>"),
        b'{"usage": torn',
    )
    resumed = claude_line("msg_2", 5) | {"sessionId": "s2"}
    write(tmp_path / "p1" / "nested" / "b.jsonl", resumed, claude_line("msg_4", 7) | {"sessionId": "s2"})
    assert claude_turns(tmp_path, DAY, UTC) == [claude_turn(57), claude_turn(5), claude_turn(7, "s2")]


def test_an_answer_belongs_to_the_day_on_which_it_began(tmp_path: Path) -> None:
    write(
        tmp_path / "p" / "a.jsonl",
        claude_line("msg_1", 1, "2026-11-20T23:59:59Z"),
        claude_line("msg_1", 9, "2026-11-21T00:00:01Z"),
        claude_line("msg_2", 3, "2026-11-21T00:00:02Z"),
    )
    assert claude_turns(tmp_path, "2026-11-20", UTC) == [claude_turn(9, day="2026-11-20")]
    assert claude_turns(tmp_path, DAY, UTC) == [claude_turn(3)]


def test_missing_numbers_are_none_or_absent(tmp_path: Path) -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": None, "output_tokens": 2}
    write(tmp_path / "p" / "a.jsonl", claude_line("msg_1", 1, usage=usage))
    assert claude_turns(tmp_path, DAY, UTC) == [
        LoggedTurn("Claude Code", "s1", "claude-opus-5-5", DAY, 5, 0, 0, 2)
    ]


def usage(*numbers: int) -> dict[str, int]:
    names = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
    given = dict(zip(names, numbers, strict=True))
    return given | {
        "reasoning_output_tokens": 0,
        "total_tokens": given["input_tokens"] + given["output_tokens"],
    }


def codex_line(kind: str, payload: dict[str, Any], at: str = "2026-11-21T05:33:14.130Z") -> dict[str, Any]:
    return {"timestamp": at, "ordinal": 5, "type": kind, "payload": payload}


def tokens(total: dict[str, int] | None, last: dict[str, int] | None = None) -> dict[str, Any]:
    info = None if total is None else {"total_token_usage": total, "last_token_usage": last}
    return {"type": "token_count", "info": info, "rate_limits": {"limit_id": "codex"}}


META = codex_line("session_meta", {"id": "c1", "cwd": "/x", "cli_version": "0.169.0"})
CONTEXT = codex_line("turn_context", {"turn_id": "t", "model": "gpt-5.5", "cwd": "/x"})


def test_each_new_running_total_of_codex_is_one_answer(tmp_path: Path) -> None:
    first, second = usage(9872, 0, 100, 14), usage(19906, 9216, 100, 46)
    write(
        tmp_path / "2026" / "11" / "21" / "rollout-1.jsonl",
        META,
        CONTEXT,
        codex_line("event_msg", tokens(None)),
        codex_line("event_msg", tokens(first, first)),
        codex_line("event_msg", tokens(first, first), "2026-11-21T05:33:15Z"),
        codex_line("turn_context", {"model": "gpt-5.5-mini"}),
        codex_line("event_msg", tokens(second, usage(10034, 9216, 0, 32)), "2026-11-21T05:33:16Z"),
        b'"token_count"',
    )
    assert codex_turns(tmp_path, DAY, UTC) == [
        LoggedTurn("Codex", "c1", "gpt-5.5", DAY, 9772, 0, 100, 14),
        LoggedTurn("Codex", "c1", "gpt-5.5-mini", DAY, 818, 9216, 0, 32),
    ]


def test_an_older_codex_reports_running_totals_only(tmp_path: Path) -> None:
    write(
        tmp_path / "rollout-1.jsonl",
        META,
        CONTEXT,
        codex_line("event_msg", tokens(usage(100, 40, 0, 9))),
        codex_line("event_msg", tokens(usage(300, 140, 0, 19))),
    )
    assert [(turn.input, turn.cache_read, turn.output) for turn in codex_turns(tmp_path, DAY, UTC)] == [
        (60, 40, 9),
        (100, 100, 10),
    ]


def test_the_copied_lines_of_a_forked_session_count_once(tmp_path: Path) -> None:
    first = codex_line("event_msg", tokens(usage(100, 0, 0, 9), usage(100, 0, 0, 9)))
    later = tokens(usage(300, 0, 0, 19), usage(200, 0, 0, 10))
    write(tmp_path / "rollout-1.jsonl", META, CONTEXT, first)
    fork = codex_line("session_meta", {"id": "c2"})
    write(
        tmp_path / "rollout-2.jsonl",
        fork,
        META,
        CONTEXT,
        first,
        codex_line("event_msg", later, "2026-11-21T06:00:00Z"),
    )
    assert [(turn.session, turn.input) for turn in codex_turns(tmp_path, DAY, UTC)] == [
        ("c1", 100),
        ("c2", 200),
    ]


def test_without_logs_there_are_no_turns(tmp_path: Path) -> None:
    assert claude_turns(tmp_path / "nowhere", DAY) == codex_turns(tmp_path / "nowhere", DAY) == []

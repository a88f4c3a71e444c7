from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from switchyard.store.journal_line import Line, LineUsage, write_line
from switchyard.store.session_logs import LoggedTurn
from switchyard.store.verify import Comparison, Sums, rendered, verify, verify_text

DAY = "2026-11-21"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


def turn(client: str, session: str, model: str, *tokens: int) -> LoggedTurn:
    return LoggedTurn(client, session, model, DAY, *tokens)


def line(session: str, model: str, usage: LineUsage | None, **fields: Any) -> Line:
    usual: dict[str, Any] = {"v": 1, "at": NOON, "day": DAY, "client_protocol": "messages", "outcome": "ok"}
    return Line(**(usual | {"session": session, "model": model, "usage": usage} | fields))


def test_both_sides_are_added_up_by_client_and_model() -> None:
    found = verify(
        DAY,
        [
            turn("Claude Code", "s1", "opus", 100, 900, 57, 20),
            turn("Claude Code", "s1", "opus", 1, 2, 3, 4),
            turn("Codex", "c1", "gpt", 10, 0, 0, 5),
        ],
        [
            line("s1", "opus", LineUsage(100, 900, 50, 7, 20)),
            line("s1", "opus", LineUsage(1, 2, 3, 0, 4)),
            line("s1", "opus", None, outcome="failed"),
            line("s1", "opus", LineUsage(9, 9, 9, 9, 9), day="2026-11-20"),
            line("s1", "opus", LineUsage(9, 9, 9, 9, 9), kind="test"),
            line("s1", "haiku", LineUsage(7, 0, 0, 0, 2), outcome="cancelled"),
            line("c1", "gpt", LineUsage(11, 0, 0, 0, 5), client_protocol="responses"),
            line("other", "gpt", LineUsage(1, 0, 0, 0, 1), client_protocol="chat"),
        ],
    )
    assert found.comparisons == [
        Comparison("Claude Code", "haiku", Sums(), Sums(1, [7, 0, 0, 2]), 1),
        Comparison("Claude Code", "opus", Sums(2, [101, 902, 60, 24]), Sums(2, [101, 902, 60, 24]), 0),
        Comparison("Codex", "gpt", Sums(1, [10, 0, 0, 5]), Sums(1, [11, 0, 0, 5]), 0),
    ]
    assert [comparison.difference for comparison in found.comparisons] == [
        [7, 0, 0, 2],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
    ]
    assert found.outside == {"gpt": Sums(1, [1, 0, 0, 1])}
    assert not found.agrees


def test_the_comparison_is_printed_by_model() -> None:
    turns = [turn("Claude Code", "s1", "opus", 19_070, 0, 0, 57)]
    lines = [
        line("s1", "opus", LineUsage(19_000, 0, 0, 0, 57), outcome="truncated"),
        line("", "haiku", LineUsage(50, 0, 0, 0, 9)),
    ]
    assert rendered(verify(DAY, turns, lines)) == (
        "2026-11-21: the clients' session logs compared with the journal\n"
        "\n"
        "Claude Code, opus\n"
        "                         log       journal    difference\n"
        "  requests                 1             1             0\n"
        "  fresh input         19,070        19,000           -70\n"
        "  cache read               0             0             0\n"
        "  cache write              0             0             0\n"
        "  output                  57            57             0\n"
        "  cancelled or cut requests in the journal: 1.\n"
        "\n"
        "In the journal, but in no session log (other clients, side tasks such as titles):\n"
        "  haiku: 1 request, 59 tokens\n"
        "\n"
        "The tokens differ.\n"
    )


def test_a_day_without_anything_says_so(tmp_path: Path) -> None:
    text = verify_text(tmp_path, DAY, tmp_path / "projects", tmp_path / "sessions")
    assert text == "2026-11-21: no entries in the journal and the session logs.\n"


def test_files_of_a_client_and_of_the_journal_reconcile(tmp_path: Path) -> None:
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 6,
        "cache_creation_input_tokens": 7,
        "output_tokens": 8,
    }
    message = {"id": "msg_1", "model": "opus", "usage": usage}
    logged = {"timestamp": f"{DAY}T12:00:00Z", "sessionId": "s1", "type": "assistant", "message": message}
    (tmp_path / "projects" / "p").mkdir(parents=True)
    (tmp_path / "projects" / "p" / "s1.jsonl").write_bytes(msgspec.json.encode(logged) + b"\n")
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage" / "2026-11.jsonl").write_bytes(
        write_line(line("s1", "opus", LineUsage(5, 6, 3, 4, 8)))
    )
    text = verify_text(tmp_path, DAY, tmp_path / "projects", tmp_path / "sessions", UTC)
    assert text.endswith("The tokens agree.\n")

"""A plan is only applied to the files it was made for."""

from pathlib import Path

import pytest

from switchyard.clients.plan import (
    ChangedMeanwhile,
    FileChange,
    Plan,
    apply,
    change_of,
    read_record,
    record_path,
)


def test_files_are_written_created_and_removed(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"1")
    (tmp_path / "gone").write_bytes(b"2")
    changes = (
        FileChange(tmp_path / "old", b"1", b"3"),
        FileChange(tmp_path / "deep" / "new", None, b"4"),
        FileChange(tmp_path / "gone", b"2", None, ours=True),
    )
    assert apply(Plan(changes), "stamp") == (tmp_path / "old.backup-stamp",)
    found = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"old": b"3", "old.backup-stamp": b"1", "new": b"4"}


def test_a_backup_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    names = [
        apply(Plan((FileChange(path, before, after),)), "s")[0].name
        for before, after in ((b"1", b"2"), (b"2", b"1"))
    ]
    assert names == ["a.backup-s", "a.backup-s-2"]


def test_a_file_changed_meanwhile_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"other")
    changes = (FileChange(tmp_path / "a", b"1", b"2"), FileChange(tmp_path / "b", b"1", b"2"))
    with pytest.raises(ChangedMeanwhile, match="b has changed in the meantime"):
        apply(Plan(changes), "s")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('"ANTHROPIC_AUTH_TOKEN": "s3cret"', '"ANTHROPIC_AUTH_TOKEN": "(not shown)"'),
        ('http_headers = { "x-api-key" = "s3cret" }', 'http_headers = { "x-api-key" = "(not shown)" }'),
        ("experimental_bearer_token = 's3cret'", "experimental_bearer_token = '(not shown)'"),
        ('"model": "opus"', '"model": "opus"'),
        ('"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "65536"', '"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "65536"'),
    ],
)
def test_secrets_do_not_show_in_a_diff(tmp_path: Path, line: str, shown: str) -> None:
    assert f"+{shown}\n" in FileChange(tmp_path / "a", None, line.encode()).diff()


def test_a_change_of_a_secret_alone_still_shows(tmp_path: Path) -> None:
    diff = FileChange(tmp_path / "a", b'"TOKEN": "1"\n', b'"TOKEN": "2"\n').diff()
    assert diff.count('"TOKEN": "(not shown)"') == 2


def test_no_change_is_no_change(tmp_path: Path) -> None:
    assert change_of(tmp_path / "a", b"1", b"1") == ()


def test_a_record_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    record_path(tmp_path / "settings.json").write_bytes(b"{")
    assert read_record(tmp_path / "settings.json") is None


def test_the_last_20_backups_of_a_file_are_kept_and_nothing_else_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    others = {
        "settings.json.backup-mine",
        "settings.json.backup-20260101-000000.txt",
        "other.backup-20260101-000000",
    }
    for name in others:
        (tmp_path / name).write_text("kept")
    path.write_bytes(b"0")
    for number in range(25):
        stamp = f"20260101-0000{number // 2:02}"
        change = FileChange(path, str(number).encode(), str(number + 1).encode())
        apply(Plan((change,)), stamp)
    names = {one.name for one in tmp_path.iterdir()} - others - {"settings.json"}
    kept = {one: (tmp_path / one).read_text() for one in names}
    assert sorted(map(int, kept.values())) == list(range(5, 25))
    assert others <= {one.name for one in tmp_path.iterdir()}


def test_the_backup_just_made_stays_although_the_clock_was_set_back(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(b"0")
    for number in range(22):
        stamp = "20200101-000000" if number == 21 else f"20260101-0000{number:02}"
        change = FileChange(path, str(number).encode(), str(number + 1).encode())
        (made,) = apply(Plan((change,)), stamp)
    assert made.read_bytes() == b"21"

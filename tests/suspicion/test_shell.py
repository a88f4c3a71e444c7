"""How a script is read: its pipelines, with quotes and variables resolved."""

import pytest

from switchyard.suspicion.shell import Command, Pipeline, all_pipelines, parse


def shown(pipelines: tuple[Pipeline, ...]) -> list[list[str]]:
    return [[_text(command) for command in pipeline.commands] for pipeline in pipelines]


def _text(command: Command) -> str:
    return " ".join(word.text for word in command.words)


@pytest.mark.parametrize(
    ("script", "pipelines"),
    [
        ("a | b; c && d || e & f", [["a", "b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a 'b | c' \"d; e\" f\\ g", [["a b | c d; e f g"]]),
        ('x=1; y="$x 2"; a $y', [["a 1 2"]]),
        ("x='b c'; a \"$x\" ${x}", [["a b c b c"]]),
        ("a # b | c\nd", [["a"], ["d"]]),
        ("a 2>/dev/null | b >&2", [["a", "b"]]),
        ("cat <<E | b\nc; d\nE\ne", [["cat", "b"], ["e"]]),
        ("if a; then b; fi; while c; do d; done", [["a"], ["b"], ["c"], ["d"]]),
        ("a |\n b", [["a", "b"]]),
        ("a \\\n b", [["a b"]]),
        ("$'\\x61' b", [["a b"]]),
        ("a$IFS'b'${IFS}c", [["a b c"]]),
    ],
)
def test_a_script_is_read_as_pipelines(script: str, pipelines: list[list[str]]) -> None:
    assert shown(parse(script)) == pipelines


@pytest.mark.parametrize(
    "script",
    ["(a | b); c", "$(a | b)", "`a | b`", "x=$(a | b)", "c <(a | b)", 'c "$(a | b)"', "c < <(a | b)"],
)
def test_what_stands_within_a_command_is_found(script: str) -> None:
    assert ["a", "b"] in shown(tuple(all_pipelines(parse(script))))


def test_a_here_document_belongs_to_its_command() -> None:
    [pipeline] = parse("cat <<'E' > f\na $b\nE\n")
    assert pipeline.commands[0].heredoc == "a $b"

"""No text uses a retired term: each is listed with the term that replaces it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACES = (
    "app.py",
    "pyproject.toml",
    "README.md",
    "README.zh-CN.md",
    "CHANGELOG.md",
    "switchyard",
    "static",
    "tests",
    "docs",
    "bench",
    "scripts",
)
ENDINGS = {".py", ".md", ".toml", ".json", ".js", ".ts", ".html", ".css"}

PHRASES = {
    "signs? of life": "keep-alive",
    "limits? on silence": "idle timeout",
    "(?:is|are|was) resting|rest(?:s|ing) until": "cooling down until",
    "asked for by name": "selected by name",
    "model that was (?:last )?asked for|models? asked for|asked for models?": "requested model",
    "the ancestor|ancestor's": "the legacy format",
    "nobody (?:shall|may|must)": "no client, no request ...",
    "(?:keep|keeps|kept) bodies": "capture bodies",
    "takes? over (?:a|the) file": "import",
    "the last words?|last words of": "final error, last event",
    "(?:is|are) let go": "is disconnected, is closed",
    "same again / tell the client": "Retry / Return error to client",
    "counting anew": "Reset statistics?",
    "(?:begins?|begun|starts?|made|makes?) anew": "is reset, starts again, is rebuilt",
    "now asks switchyard": "now uses Switchyard",
    "(?:its|a|no) seat|keeps? (?:its|their) seat": "session affinity, sticky upstream",
    "door-keeper|(?:the|clients'|wrong|which) doors?": "endpoint",
    "(?:this|each|every|which) rooms?": "module",
    "the house": "architecture",
    "walk of a request|a request's walk": "request lifecycle",
    "(?:is|are|was) pretended|pretence": "simulated, simulation",
    "set-up of ours|keys of ours|faults? of ours": "set-up, Switchyard's keys, internal error",
    "left alone": "left unchanged",
    "unspeakable": "not expressible",
    "takes? nothing of (?:its|the) answer": "does not read its response",
    "with its place": "with its location",
    "1 (?:upstreams|warnings|faults|errors|requests|days|models)": "plural forms that agree",
}
IDENTIFIERS = {
    "model_asked": "requested_model",
    "said_final": "final",
    "SAID_FINAL": "FINAL",
    "RelayContext": "Dependencies",
    "room_of": "module_of",
    "last_asked": "last_requested",
    "secrets_around": "secrets_for",
    "/api/pretend": "/api/simulate",
    'Charge("rest"': 'Charge("cooldown"',
    '"resting"': '"cooldown"',
    "test_house": "test_source_rules",
}
OWN_NAME = "tests/test_terms.py"
NAMES_THE_OLD = (OWN_NAME, "CHANGELOG.md")


def texts(*but: str) -> Iterator[tuple[str, str]]:
    for place in PLACES:
        for path in [ROOT / place, *sorted((ROOT / place).rglob("*"))]:
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in ENDINGS and name not in but:
                yield name, path.read_text(encoding="utf-8")


def found(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for match in pattern.finditer(text):
        yield f"{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"


def phrases(*retired: str) -> re.Pattern[str]:
    """Any of them, also where a line is broken between two words."""
    return re.compile(rf"\b(?:{'|'.join(retired)})\b".replace(" ", r"\s+(?:# )?"), re.IGNORECASE)


def test_no_text_uses_a_retired_phrase() -> None:
    pattern = phrases(*PHRASES)
    broken = [f"{name}:{one}" for name, text in texts(OWN_NAME) for one in found(pattern, text)]
    assert not broken, "PHRASES lists what replaces these:\n" + "\n".join(broken)


def test_nothing_has_a_retired_name() -> None:
    pattern = re.compile("|".join(map(re.escape, IDENTIFIERS)))
    broken = [f"{name}:{one}" for name, text in texts(*NAMES_THE_OLD) for one in found(pattern, text)]
    assert not broken, "IDENTIFIERS lists what replaces these:\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A sign of life is sent.", ["1: sign of life"]),
        ("first\n# the limit\n# on silence", ["2: limit\n# on silence"]),
        ("It has 1 upstreams, 21 warnings", ["1: 1 upstreams"]),
        ("Every room has a door; nobody may rest.", ["1: Every room", "1: nobody may"]),
        ("room for two, the rest of a list, who knows", []),
    ],
)
def test_a_retired_phrase_is_found_with_its_line(text: str, expected: list[str]) -> None:
    assert list(found(phrases(*PHRASES), text)) == expected

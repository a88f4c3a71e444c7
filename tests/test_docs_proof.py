"""Each sentence of the pages on failures and security names the tests that prove it, and both languages agree.

`tests/proof/PAGE.txt` has the sentences in their order, with the tests of each below it. A sentence that states nothing
about Switchyard has its reason instead.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.proof.page import Block, blocks, sentences

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("failures", "security")
REASONS = frozenset(
    {"- leads on", "- advises the reader", "- states a risk", "- states what was done by hand"}
)
INDENT = "    "
CODE, FIGURE = re.compile("`[^`]+`"), re.compile(r"\d+")


def proof(page: str) -> dict[str, list[str]]:
    """Each sentence with its tests, or with the reason why it has none."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "tests" / "proof" / f"{page}.txt").read_text().splitlines():
        if line.startswith(INDENT):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line] = []
    return found


@pytest.mark.parametrize("page", PAGES)
def test_each_sentence_is_proven(page: str) -> None:
    assert list(proof(page)) == sentences(ROOT / "docs" / f"{page}.md")


@pytest.mark.parametrize("page", PAGES)
def test_each_named_test_exists(page: str) -> None:
    named = proof(page)
    assert [sentence for sentence, tests in named.items() if not tests] == []
    tests = sorted({test for listed in named.values() for test in listed} - REASONS)
    assert [test for test in tests if not exists(test)] == []


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and name in functions_of(ROOT / path)


@cache
def functions_of(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_say_the_same(page: str) -> None:
    english, chinese = (blocks(ROOT / "docs" / f"{page}{end}.md") for end in ("", ".zh-CN"))
    assert [block.kind for block in english] == [block.kind for block in chinese]
    pairs = zip(english, chinese, strict=True)
    assert [one.text for one, other in pairs if list(said(one)) != list(said(other))] == []


def said(block: Block) -> Iterator[str]:
    """What a translation leaves as it is: code, names in code, figures."""
    if block.kind == "code":
        yield block.text
    elif block.kind != "heading":
        yield from sorted(set(CODE.findall(block.text)))
        yield from sorted(set(FIGURE.findall(CODE.sub("", block.text))))


# --- the check itself ----------------------------------------------------------------

SAMPLE = """# Title

One. **Two** is `2.0`. See [three](three.md).
It goes on.

1. A first item that
   has two lines
2. a second one

| Head | Of it |
|---|---|
| a | `b` |

```sh
no sentence here
```

- **Bold title.** Its text. "More."
"""


def test_a_page_is_taken_apart_into_its_sentences(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(SAMPLE)
    assert sentences(tmp_path / "page.md") == [
        "One.",
        "**Two** is `2.0`.",
        "See [three](three.md).",
        "It goes on.",
        "A first item that has two lines",
        "a second one",
        "a | `b`",
        "Its text.",
        '"More."',
    ]
    kinds = [block.kind for block in blocks(tmp_path / "page.md")]
    assert kinds == ["heading", "text", "item", "item", "row", "code", "item"]

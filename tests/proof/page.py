"""Take a page of the documentation apart: its blocks, and their sentences."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["heading", "code", "row", "item", "text"]
FENCE, HEADING, ROW = re.compile("```"), re.compile("#+ "), re.compile(r" *\|")
RULE = re.compile(r" *\|[\s|:-]+\Z")
"""below the head of a table"""
ITEM = re.compile(r" *(?:-|\d+\.) ")
BETWEEN_SENTENCES = re.compile(r"(?<=[.?!)]) (?=[A-Z`*\"(\[])")
TITLE = re.compile(r"\*\*[^*]+\.\*\* ")
"""a bold title in front of a paragraph"""


class Block(NamedTuple):
    """A heading, a piece of code, a row of a table, an item of a list or a paragraph, in one line."""

    kind: Kind
    text: str


def blocks(page: Path) -> list[Block]:
    """The blocks in their order; the head of a table is none."""
    found: list[Block] = []
    lines = [*page.read_text().splitlines(), ""]
    is_code = is_open = False
    for line, following in pairwise(lines):
        if FENCE.match(line):
            is_code, is_open = not is_code, False
            if is_code:
                found.append(Block("code", ""))
        elif is_code:
            found[-1] = Block("code", f"{found[-1].text}{line}\n")
        elif not line.strip() or RULE.match(line) or RULE.match(following):
            is_open = False
        elif HEADING.match(line):
            found.append(Block("heading", line))
        elif ROW.match(line):
            found.append(Block("row", re.sub(r" *\| *", " | ", line.strip().strip("|").strip())))
        elif item := ITEM.match(line):
            found.append(Block("item", line[item.end() :]))
            is_open = True
        elif is_open:
            found[-1] = Block(found[-1].kind, f"{found[-1].text} {line.strip()}")
        else:
            found.append(Block("text", line.strip()))
            is_open = True
    return found


def sentences(page: Path) -> list[str]:
    """What the page states, sentence by sentence; a row of a table is one."""
    found: list[str] = []
    for block in blocks(page):
        if block.kind == "row":
            found.append(block.text)
        elif block.kind in ("item", "text"):
            found += BETWEEN_SENTENCES.split(TITLE.sub("", block.text, count=1))
    return found

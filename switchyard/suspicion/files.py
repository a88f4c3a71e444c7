"""Judge files that are written: what is run by itself later counts as if it were run now."""

import re
from collections.abc import Callable, Iterator

from switchyard.suspicion.effort import PATH_STEPS, Effort
from switchyard.suspicion.paths import gives_access, is_script, runs_by_itself
from switchyard.suspicion.reasons import Code, Reason

RunLater = Callable[[str], Iterator[Reason]]
"""Judges a text that will be run."""

PATCH_FILE = re.compile(
    r"^\*\*\* (?:Add|Update) File: (.+)$|^\+\+\+ (?:b/)?(\S+)|^\*\*\* Move to: (.+)$", re.MULTILINE
)
BEGIN = "*** Begin Patch"


def is_patch(text: str) -> bool:
    return BEGIN in text or ("\n+++ " in f"\n{text}" and "\n@@" in text)


def reasons_in_patch(patch: str, run_later: RunLater, effort: Effort) -> Iterator[Reason]:
    """Of the lines that a patch adds to each file."""
    files = list(PATCH_FILE.finditer(patch))
    for place, found in enumerate(files):
        end = files[place + 1].start() if place + 1 < len(files) else len(patch)
        lines = patch[found.end() : end].splitlines()
        added = "\n".join(line[1:] for line in lines if line.startswith("+"))
        yield from reasons_in_written(found[1] or found[2] or found[3], added, run_later, effort)


def reasons_in_written(path: str, text: str, run_later: RunLater, effort: Effort) -> Iterator[Reason]:
    effort.spend(PATH_STEPS)
    if gives_access(path):
        yield Reason(Code.ACCESS_FILE, path)
    elif text.strip() and (runs_by_itself(path) or is_script(path) or text.startswith("#!")):
        yield from run_later(text)

"""Judge a tool call by its arguments, whatever the tool is called."""

import shlex
from collections.abc import Iterator
from functools import partial
from typing import Any

from switchyard.protocols.wire import parsed
from switchyard.suspicion.code import reasons_in_code, scripts_in
from switchyard.suspicion.effort import MAX_STEPS, PATH_STEPS, Effort, TooMuch
from switchyard.suspicion.files import is_patch, reasons_in_patch, reasons_in_written
from switchyard.suspicion.paths import key_file
from switchyard.suspicion.reasons import Code, Reason
from switchyard.suspicion.scripts import reasons_in_run_later, reasons_in_script

COMMANDS = frozenset(
    "command cmd script chars shell bash command_line cmdline shell_command input action exec".split()
)
SCRIPTS = frozenset(("commands",))
PROGRAMS = frozenset("code python javascript js source_code snippet".split())
PATHS = frozenset(
    "file_path path filename file filepath notebook_path uri target_file absolute_path paths relative_path".split()
)
CONTENTS = frozenset(
    "content contents new_string new_str new_source file_text insert_text patch diff new_content text code_edit".split()
)
WRITES = (
    "write",
    "edit",
    "create",
    "delete",
    "list",
    "ls",
    "mkdir",
    "glob",
    "insert",
    "replace",
    "remove",
    "move",
)
MAX_REASONS = 10
MAX_CHARS = 1_000_000
"""longer arguments are not read: no model writes so much in one call"""
CALL_STEPS = 10


def reasons_of(tool: str, arguments: str, answer: Effort | None = None) -> tuple[Reason, ...]:
    """Why this call looks like an attack; none for nearly all. `arguments`: JSON, or the text of a free-form tool.

    `answer` has what is left for the calls of the same answer.
    """
    found: dict[Reason, None] = {}
    given = MAX_STEPS if answer is None else min(MAX_STEPS, answer.left)
    effort = Effort(given)
    try:
        for reason in _reasons(tool, arguments, effort):
            found[reason] = None
    except TooMuch:
        found[Reason(Code.TOO_LONG)] = None
    if answer is not None:
        answer.left -= given - max(0, effort.left)
    return tuple(found)[:MAX_REASONS]


def _reasons(tool: str, arguments: str, effort: Effort) -> Iterator[Reason]:
    effort.spend(CALL_STEPS)
    if len(arguments) > MAX_CHARS:
        raise TooMuch
    given = parsed(arguments.encode("utf-8", "replace"))
    return _of_object(tool, given, effort) if isinstance(given, dict) else _of_text(arguments, effort)


def _of_text(text: str, effort: Effort) -> Iterator[Reason]:
    """A free-form tool takes a patch, a program that calls tools, or a command."""
    if is_patch(text):
        yield from _of_patch(text, effort)
        return
    yield from _of_program(text, effort)
    yield from reasons_in_script(text, effort)


def _of_patch(text: str, effort: Effort) -> Iterator[Reason]:
    yield from reasons_in_patch(text, partial(reasons_in_run_later, effort=effort), effort)


def _of_object(tool: str, given: dict[str, Any], effort: Effort) -> Iterator[Reason]:
    for name, value in given.items():
        if name in COMMANDS:
            yield from _of_command(tool, value, effort)
        elif name in SCRIPTS:
            for one in value if isinstance(value, list) else [value]:
                yield from _of_command(tool, one, effort)
        elif name in PROGRAMS and isinstance(value, str):
            yield from _of_program(value, effort)
    yield from _of_files(tool, given, effort)


def _of_command(tool: str, value: object, effort: Effort) -> Iterator[Reason]:
    """A command as text, as a list of words, or within an object."""
    match value:
        case str() if is_patch(value) and value.lstrip().startswith("***"):
            yield from _of_patch(value, effort)
        case str():
            yield from reasons_in_script(value, effort)
        case list():
            words = [word for word in value if isinstance(word, str)]
            effort.spend(len(words))
            yield from reasons_in_script(words[0] if len(words) == 1 else shlex.join(words), effort)
        case dict():
            yield from _of_object(tool, value, effort)


def _of_program(text: str, effort: Effort) -> Iterator[Reason]:
    yield from reasons_in_code(text, effort)
    for script in scripts_in(text):
        yield from reasons_in_script(script, effort)


def _of_files(tool: str, given: dict[str, Any], effort: Effort) -> Iterator[Reason]:
    paths = [one for name in PATHS if name in given for one in _texts(given[name])]
    contents = [text for name in CONTENTS if name in given for text in _texts(given[name])]
    edits = given.get("edits")
    for edit in edits if isinstance(edits, list) else []:
        contents += [text for name in CONTENTS if isinstance(edit, dict) for text in _texts(edit.get(name))]
    effort.spend(len(paths) * PATH_STEPS + len(contents))
    for patch in filter(is_patch, contents):
        yield from _of_patch(patch, effort)
    if contents:
        written, run_later = "\n".join(contents), partial(reasons_in_run_later, effort=effort)
        yield from (
            reason for path in paths for reason in reasons_in_written(path, written, run_later, effort)
        )
    elif not any(word in tool.lower() for word in WRITES) and not COMMANDS & given.keys():
        yield from (Reason(Code.KEY_FILE, key) for path in paths if (key := key_file(path)))


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

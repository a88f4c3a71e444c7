"""Judge a tool call by its arguments, whatever the tool is called."""

import shlex
from collections.abc import Iterator
from typing import Any

from switchyard.protocols.wire import parsed
from switchyard.suspicion.code import reasons_in_code, scripts_in
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


def reasons_of(tool: str, arguments: str) -> tuple[Reason, ...]:
    """Why this call looks like an attack; none for nearly all. `arguments`: JSON, or the text of a free-form tool."""
    given = parsed(arguments.encode("utf-8", "replace"))
    found = _of_object(tool, given) if isinstance(given, dict) else _of_text(tool, arguments)
    return tuple(dict.fromkeys(found))[:MAX_REASONS]


def _of_text(tool: str, text: str) -> Iterator[Reason]:
    """A free-form tool takes a patch, a program that calls tools, or a command."""
    if is_patch(text):
        yield from reasons_in_patch(text, reasons_in_run_later)
        return
    yield from reasons_in_code(text)
    for script in (text, *scripts_in(text)):
        yield from reasons_in_script(script)


def _of_object(tool: str, given: dict[str, Any]) -> Iterator[Reason]:
    for name, value in given.items():
        if name in COMMANDS:
            yield from _of_command(tool, value)
        elif name in SCRIPTS:
            for one in value if isinstance(value, list) else [value]:
                yield from _of_command(tool, one)
        elif name in PROGRAMS and isinstance(value, str):
            yield from _of_program(value)
    yield from _of_files(tool, given)


def _of_command(tool: str, value: object) -> Iterator[Reason]:
    """A command as text, as a list of words, or within an object."""
    match value:
        case str() if is_patch(value) and value.lstrip().startswith("***"):
            yield from reasons_in_patch(value, reasons_in_run_later)
        case str():
            yield from reasons_in_script(value)
        case list():
            words = [word for word in value if isinstance(word, str)]
            yield from reasons_in_script(words[0] if len(words) == 1 else shlex.join(words))
        case dict():
            yield from _of_object(tool, value)


def _of_program(text: str) -> Iterator[Reason]:
    yield from reasons_in_code(text)
    for script in scripts_in(text):
        yield from reasons_in_script(script)


def _of_files(tool: str, given: dict[str, Any]) -> Iterator[Reason]:
    paths = [one for name in PATHS if name in given for one in _texts(given[name])]
    contents = [text for name in CONTENTS if name in given for text in _texts(given[name])]
    edits = given.get("edits")
    for edit in edits if isinstance(edits, list) else []:
        contents += [text for name in CONTENTS if isinstance(edit, dict) for text in _texts(edit.get(name))]
    patches = [text for text in contents if is_patch(text)]
    yield from (reason for patch in patches for reason in reasons_in_patch(patch, reasons_in_run_later))
    if contents:
        written = "\n".join(contents)
        yield from (
            reason for path in paths for reason in reasons_in_written(path, written, reasons_in_run_later)
        )
    elif not any(word in tool.lower() for word in WRITES) and not COMMANDS & given.keys():
        yield from (Reason(Code.KEY_FILE, key) for path in paths if (key := key_file(path)))


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

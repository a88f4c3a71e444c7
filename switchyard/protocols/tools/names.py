"""Name tools so that every upstream takes the name: legal, unique, with its namespace before it."""

import re
from collections.abc import Mapping

from switchyard.protocols import neutral
from switchyard.protocols.ids import shortened

MAX_NAME_LENGTH = 64
FORBIDDEN_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
NAMESPACE_SEPARATOR = "__"


def wire_name(name: str, namespace: str, tools: Mapping[str, neutral.Tool]) -> str:
    """The name of a tool in history and tool_choice; also for a tool that is no longer declared."""
    bearer = tools.get(name)
    if bearer is not None and bearer.name == name and bearer.namespace == namespace:
        return name
    for wire, tool in tools.items():
        if tool.name == name and tool.namespace == namespace:
            return wire
    return _legal_name(name, namespace)


def unique_names(tools: list[neutral.Tool]) -> dict[str, neutral.Tool]:
    """Names in the order of the tools, given out in the order of precedence."""
    legal = [_legal_name(tool.name, tool.namespace) for tool in tools]
    precedence = [(bool(tool.namespace), name != tool.name) for tool, name in zip(tools, legal, strict=True)]
    names: dict[int, str] = {}
    taken: set[str] = set()
    for position in sorted(range(len(tools)), key=precedence.__getitem__):
        names[position] = _free_name(legal[position], taken)
        taken.add(names[position])
    return {names[position]: tool for position, tool in enumerate(tools)}


def _legal_name(name: str, namespace: str) -> str:
    full = f"{namespace}{NAMESPACE_SEPARATOR}{name}" if namespace else name
    return shortened(FORBIDDEN_IN_NAMES.sub("_", full), MAX_NAME_LENGTH)


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        suffix = f"_{number}"
        free = name[: MAX_NAME_LENGTH - len(suffix)] + suffix
    return free

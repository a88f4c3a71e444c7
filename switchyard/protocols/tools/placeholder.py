"""Tools that are in a request only to switch something on; no model may call them."""

from switchyard.protocols.wire import Json, fields, text

MARKS = ("placeholder", "never call")


def is_placeholder(tool: object) -> bool:
    """True for a deferred tool without parameters that calls itself a placeholder, as Claude Code declares one."""
    given = fields(tool)
    about = f"{text(given.get('name'))} {text(given.get('description'))}".lower()
    return (
        given.get("defer_loading") is True and not _properties(given) and any(mark in about for mark in MARKS)
    )


def _properties(tool: Json) -> Json:
    schema = fields(tool.get("input_schema")) or fields(tool.get("parameters"))
    return fields(schema.get("properties"))

"""Tools that are in a request only to switch something on; no model may call them."""

from switchyard.protocols.wire import fields, text

MARKS = ("placeholder", "never call")


def is_placeholder(tool: object) -> bool:
    """True for a deferred tool without parameters that calls itself a placeholder, as Claude Code declares one."""
    given = fields(tool)
    schema = fields(given.get("input_schema")) or fields(given.get("parameters"))
    if given.get("defer_loading") is not True or fields(schema.get("properties")):
        return False
    about = f"{text(given.get('name'))} {text(given.get('description'))}".lower()
    return any(mark in about for mark in MARKS)

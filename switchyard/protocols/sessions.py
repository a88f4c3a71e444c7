"""Find the id of the conversation that a request belongs to, wherever the client puts it: one rule for all."""

import re
from collections.abc import Mapping

from switchyard.protocols.wire import parsed_object, text

HEADERS = ("x-claude-code-session-id", "session-id", "session_id")
THREADS = ("x-claude-code-agent-id", "thread-id")
"""they identify a sub-agent, which has the session id of its parent"""
IN_USER_ID = re.compile(r"session_([0-9a-fA-F-]{8,64})\Z")


def session_in_headers(headers: Mapping[str, str]) -> str:
    """`headers` have lower-case names."""
    for name in HEADERS:
        if named := headers.get(name):
            return named
    return ""


def thread_in_headers(headers: Mapping[str, str]) -> str:
    """The id of the sub-agent that sends the request; "" for the conversation itself, whose thread is its session."""
    for name in THREADS:
        if (named := headers.get(name)) and named != session_in_headers(headers):
            return named
    return ""


def session_in_user_id(user_id: object) -> str:
    """Claude Code: a JSON text with `session_id`, in older versions `user_..._session_<uuid>`."""
    given = text(user_id)
    if given.startswith("{"):
        return text(parsed_object(given.encode("utf-8", "replace")).get("session_id"))
    tail = IN_USER_ID.search(given)
    return tail[1] if tail else ""

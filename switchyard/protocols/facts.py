"""The facts of a request that rules may name: which program sent it, for what, and in which project."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from switchyard.protocols.names import ProtocolName

Program = Literal["", "claude-code", "codex"]
PROGRAM_OF_CLIENT: Mapping[str, Program] = {"claude": "claude-code", "codex": "codex"}
"""by the names that users call them"""
BODY_FACTS = frozenset({"background", "compaction", "thinking", "effort", "web_search", "images", "project"})
"""the facts that are not in the headers alone"""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is not wanted stays at its default. `tokens` is an estimate, `project` the client's working directory."""

    program: Program = ""
    agent: str = ""
    client_key: str = ""
    subagent: bool = False
    background: bool = False
    compaction: bool = False
    thinking: bool = False
    effort: str = ""
    web_search: bool = False
    images: bool = False
    tokens: int = 0
    project: str = ""


NO_FACTS = Facts()
CLAUDE_CODE, CODEX = Facts(program="claude-code"), Facts(program="codex")
"""a plain request of these programs"""
USUAL_CLIENTS: Mapping[ProtocolName, Facts] = {"messages": CLAUDE_CODE, "responses": CODEX, "chat": NO_FACTS}
"""a plain request of the program after which the pages name the clients of a protocol"""


def stated_facts(given: Mapping[str, Any]) -> Facts:
    """Facts that are stated in text, as in a query or by flags; a client that is a program states that as well.

    Raises msgspec.ValidationError.
    """
    stated = {name: given[name] for name in Facts.__struct_fields__ if given.get(name)}
    if program := PROGRAM_OF_CLIENT.get(given.get("client", "")):
        stated.setdefault("program", program)
    return msgspec.convert(stated, Facts, strict=False)

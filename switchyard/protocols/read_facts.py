"""Read the facts of a request that rules may name.

Headers are read first, and of the body only what is wanted. How Claude Code and Codex mark their requests was measured
(docs/client-behavior.md); other programs mark none of this.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.effort import EFFORTS
from switchyard.protocols.facts import Facts, Program
from switchyard.protocols.message_memory import Beginning, KnownItem
from switchyard.protocols.names import THINKING_SUFFIX, ProtocolName
from switchyard.protocols.openai_responses.configuration import UPDATE, last_settings
from switchyard.protocols.passthrough.peek import ABSENT, Document, Members
from switchyard.protocols.repair.messages.signs import EFFORT
from switchyard.protocols.request_summary import RequestSummary
from switchyard.protocols.wire import UNREADABLE, entries, fields, parsed_object, text

PROGRAMS: Mapping[ClientProgram, Program] = {
    ClientProgram.CLAUDE_CODE: "claude-code",
    ClientProgram.CODEX: "codex",
    ClientProgram.OTHER: "",
}
CODEX_SUBAGENT = "x-openai-subagent"
CODEX_PARENT = "x-codex-parent-thread-id"
CODEX_TURN = "x-codex-turn-metadata"
COMPACTING = "compact"
BACKGROUND_KINDS = frozenset({"memory_consolidation"})
"""what Codex names a sub-agent although it works for no turn"""
NO_TOOLS = (b"", b"[]", b"null")
CONFIGURED = b'"output_config"'
UPDATED = f'"{UPDATE}"'.encode()
SEARCH_TOOL = b'"web_search'
SUMMARY_PROMPT = "CRITICAL: Respond with TEXT ONLY"
"""how the last message of a compaction by Claude Code begins"""
SUMMARY_PROMPT_SIGN = SUMMARY_PROMPT.encode()
SUMMARY_PROMPT_BYTES = 128 * 1024
"""it is no longer: further from the end of the conversation it is not looked for"""
IMAGE = re.compile(rb'"type"\s*:\s*"(?:image|image_url|input_image)"')
"""quotes within texts are escaped: only a block matches"""
IMAGE_SIGN = re.compile(rb'g(?:e"|e_url")')
"""in each of them; found several times as fast, as it begins with one rare letter"""
MAY_HOLD_IMAGES = frozenset({"image", "image_url", "input_image", "document"})
"""without these blocks a conversation has no image; a document may consist of others"""
DIRECTORIES = (
    re.compile(rb"Primary working directory: ((?:[^\\\"\n<]|\\[\\/\"u])++)(?=[\"\n<]|\\[^\\/\"u])"),
    re.compile(rb"<cwd>((?:[^\\\"<]|\\[\\/\"u])+)</cwd>"),
)
"""as it stands in a JSON text, up to the end of its line, which must be there"""
MAX_PROJECT_CHARS = 500
PROJECT_BYTES = 256 * 1024
"""clients state it at the beginning: further inside of the conversation it is not looked for"""
PROJECT = frozenset({"project"})


def read_facts(
    protocol: ProtocolName,
    summary: RequestSummary,
    headers: Mapping[str, str],
    body: bytes,
    wanted: frozenset[str],
    *,
    compacts: bool = False,
    client_key: str = "",
    project: str = "",
) -> Facts:
    """`headers` have lower-case names. `wanted` names the facts of BODY_FACTS that matter; the project of a known
    program is read in any case, as it is recorded, unless it is given. Never an error."""
    program = PROGRAMS[summary.program]
    agent, subagent = headers.get("user-agent", ""), is_subagent(headers, summary.thread)
    given = Given(protocol, summary, headers, body, compacts)
    found: dict[str, Any] = {"project": project} if project else {}
    for name in wanted | PROJECT if program else wanted:
        if name in found:
            continue
        try:
            if fact := READERS[name](given):
                found[name] = fact
        except UNREADABLE:
            pass  # what cannot be read is no fact: the attempt reports it
    return Facts(program=program, agent=agent, client_key=client_key, subagent=subagent, **found)


class Given(msgspec.Struct, frozen=True, dict=True):
    """A request as it is read: most facts are decided by members that it does not have."""

    protocol: ProtocolName
    summary: RequestSummary
    headers: Mapping[str, str]
    body: bytes
    compacts: bool = False

    @cached_property
    def document(self) -> Document:
        return Document(self.body, self.summary.members)

    @cached_property
    def may_be_updated(self) -> bool:
        """True if an item may change the settings of a Responses request."""
        return self.protocol == "responses" and UPDATED in self.body

    @property
    def known(self) -> Beginning | None:
        """The part of the history that is known from an earlier turn."""
        known = self.summary.beginning
        return known if known is not None and known.body is self.body else None

    @property
    def signs(self) -> frozenset[str] | None:
        """Those of a Messages request, if they were seen: the types of all blocks are among them."""
        seen = self.summary.seen_in(self.body) if self.protocol == "messages" else None
        return None if seen is None else seen.signs


def project_stated(protocol: ProtocolName, summary: RequestSummary) -> str:
    """The project of a known program; "" for others. Never an error."""
    if summary.program is ClientProgram.OTHER:
        return ""
    try:
        return project_of(protocol, summary.members)
    except UNREADABLE:
        return ""


def is_subagent(headers: Mapping[str, str], thread: str) -> bool:
    """A sub-agent has the session of its parent, and marks of its own."""
    if kind := headers.get(CODEX_SUBAGENT, ""):
        return kind != COMPACTING and kind not in BACKGROUND_KINDS
    return bool(headers.get(CODEX_PARENT) or thread)


def is_background(given: Given) -> bool:
    """A title, or a call for one token: a check of the model or of the quota."""
    summary, headers = given.summary, given.headers
    if summary.max_tokens == 1 or headers.get(CODEX_SUBAGENT) in BACKGROUND_KINDS:
        return True
    members = summary.members
    if (
        members.output_config is ABSENT
        and members.output_format is ABSENT
        and members.response_format is ABSENT
        and members.text is ABSENT
    ):
        return False
    return bytes(members.tools) in NO_TOOLS and "title" in _properties_of_answer(given.document)


def is_compaction(given: Given) -> bool:
    """The client has its conversation summed up, to go on with the summary."""
    if given.compacts:
        return True
    headers = given.headers
    if given.protocol != "messages":
        turn = headers.get(CODEX_TURN, "")
        kind = parsed_object(turn).get("request_kind") if turn else None
        return kind == "compaction" or headers.get(CODEX_SUBAGENT) == COMPACTING
    body = given.body
    if len(body) > SUMMARY_PROMPT_BYTES:
        body = bytes(memoryview(given.summary.members.messages)[-SUMMARY_PROMPT_BYTES:])
    if SUMMARY_PROMPT_SIGN not in body:
        return False
    messages = entries(given.document.get("messages"))
    words = list(_texts(fields(messages[-1]).get("content"))) if messages else []
    return bool(words) and words[-1].lstrip().startswith(SUMMARY_PROMPT)


def wants_thinking(given: Given) -> bool:
    """Thinking is requested, or left to the model; an effort alone turns it on in the protocols of OpenAI."""
    if given.summary.model.lower().endswith(THINKING_SUFFIX):
        return True
    members = given.summary.members
    is_stated = not (
        members.thinking is ABSENT and members.reasoning_effort is ABSENT and members.reasoning is ABSENT
    )
    if not is_stated and not given.may_be_updated:
        return False
    document = _settings(given)
    if "thinking" in document:
        return fields(document["thinking"]).get("type") in ("enabled", "adaptive")
    effort = text(document.get("reasoning_effort")) or text(fields(document.get("reasoning")).get("effort"))
    return bool(effort) and effort != "none"


def effort_of(given: Given) -> str:
    """The effort of the turn: one that Claude Code or Codex sets within the conversation counts."""
    members = given.summary.members
    has_own = given.may_be_updated or not (
        members.output_config is ABSENT and members.reasoning_effort is ABSENT and members.reasoning is ABSENT
    )
    is_inside = _is_set_inside(given)
    if not has_own and not is_inside:
        return ""
    document = _settings(given)
    own = _effort_in(document) if has_own else ""
    if not is_inside:
        return own
    inside = (_effort_in(fields(message)) for message in reversed(entries(document.get("messages"))))
    return next((effort for effort in inside if effort), own)


def _settings(given: Given) -> Mapping[str, Any]:
    """The members of a request, or those that its items change."""
    document = given.document
    if not given.may_be_updated:
        return document
    changed = last_settings(document, entries(document.get("input")))
    return {"reasoning": document.get("reasoning"), **changed}


def _is_set_inside(given: Given) -> bool:
    """True if a message may set an effort."""
    members, body = given.summary.members, given.body
    if members.messages is ABSENT:
        return False
    if (signs := given.signs) is not None:
        return EFFORT in signs
    of_answer = members.output_config is not ABSENT
    known = given.known if given.protocol == "messages" else None
    if known is not None:
        # a message with an effort is not remembered
        return body.count(CONFIGURED, 0, known.start) + body.count(CONFIGURED, known.behind) > of_answer
    return body.count(CONFIGURED) > of_answer


def _effort_in(given: Mapping[str, Any]) -> str:
    found = (
        fields(given.get("output_config")).get("effort"),
        given.get("reasoning_effort"),
        fields(given.get("reasoning")).get("effort"),
    )
    return next((effort for effort in found if effort in EFFORTS), "")


def only_searches(given: Given) -> bool:
    """Its only tools are web searches: beside others they are an offer, which Codex makes in every request."""
    tools = given.summary.members.tools
    if tools is ABSENT or SEARCH_TOOL not in bytes(tools):
        return False
    kinds = [text(fields(tool).get("type")) for tool in entries(given.document.get("tools"))]
    return bool(kinds) and all(kind.startswith("web_search") for kind in kinds)


def has_images(given: Given) -> bool:
    """Anywhere in the conversation."""
    members, signs, known = given.summary.members, given.signs, given.known
    if signs is not None and signs.isdisjoint(MAY_HOLD_IMAGES):
        return False
    histories = [memoryview(raw) for raw in (members.messages, members.input) if raw is not ABSENT]
    if known is not None and not _may_hold_images(known.items):
        histories = [memoryview(given.body)[known.behind : known.end]]
    return any(IMAGE_SIGN.search(raw) and IMAGE.search(raw) for raw in histories)


def _may_hold_images(items: Sequence[KnownItem]) -> bool:
    blocks: list[neutral.Block] = [block for item in items for block in item.blocks]
    blocks += [part for block in blocks if isinstance(block, neutral.ToolResult) for part in block.content]
    return any([isinstance(block, neutral.Image | neutral.Document) for block in blocks])


def project_of(protocol: ProtocolName, members: Members) -> str:
    """The working directory of Claude Code or Codex; "" if the request does not state it."""
    pattern = DIRECTORIES[0 if protocol == "messages" else 1]
    for raw in (members.system, members.messages, members.input):
        found = None if raw is ABSENT else pattern.search(memoryview(raw)[:PROJECT_BYTES])
        if found is not None:
            path = msgspec.json.decode(b'"' + found[1] + b'"', type=str)
            return path.strip()[:MAX_PROJECT_CHARS]
    return ""


def _properties_of_answer(document: Document) -> dict[str, Any]:
    """The properties of the JSON schema that the answer must have, in any protocol."""
    messages = fields(fields(document.get("output_config")).get("format"))
    messages = messages or fields(document.get("output_format"))
    chat = fields(fields(document.get("response_format")).get("json_schema"))
    responses = fields(fields(document.get("text")).get("format"))
    schema = next((found["schema"] for found in (messages, chat, responses) if "schema" in found), None)
    return fields(fields(schema).get("properties"))


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for block in entries(content):
        if words := text(fields(block).get("text")):
            yield words


READERS: Mapping[str, Callable[[Given], Any]] = {
    "background": is_background,
    "compaction": is_compaction,
    "thinking": wants_thinking,
    "effort": effort_of,
    "web_search": only_searches,
    "images": has_images,
    "project": lambda given: project_of(given.protocol, given.summary.members),
}

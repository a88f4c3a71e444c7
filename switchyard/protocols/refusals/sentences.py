"""Find the server's own words in a refusal, and the path that they are about.

What quotes the request (a prompt, the name of a tool or a model) is left out: it means nothing for the upstream.
"""

import re
from collections.abc import Iterator

import msgspec

from switchyard.protocols.errors.meaning import FILTERED
from switchyard.protocols.late_pattern import late
from switchyard.protocols.neutral import WireError

MAX_READ_CHARS = 4000
"""of a refusal: the rest quotes the request"""
MAX_NESTED = 3

Path = tuple[str, ...]


class Sentence(msgspec.Struct, frozen=True):
    """Words in lower case about one thing, and its path; () if only the words may name it."""

    words: str
    path: Path = ()


def sentences_of(error: WireError) -> tuple[Sentence, ...]:
    """In their order. None of a refusal that is about what the user wrote."""
    text = RELAYS.sub("", _innermost(RELAYS.sub("", error.message[:MAX_READ_CHARS])))
    if FILTERED.search(text) or QUOTES_PROMPT.search(text):
        return ()
    found = tuple(_validated(text)) or tuple(_led(text)) or _plain(text, error.param)
    return tuple(dict.fromkeys(found))


# --- envelopes ------------------------------------------------------------------

QUOTES_PROMPT = late(
    r"(?i)\b(?:prompt|request|message|input|text|user|query) (?:contains?|includes?|says|said|mentions|asks)\b"
    r"|\bflagged\b|\bjailbreak|\busage polic|\bviolat(?:es|ed|ion)|blocked by|guardrail|harmful"
)
RELAYS = late(r"^(?:(?:litellm\.)?\w+(?:Error|Exception)\s*[:-]\s*)+")
INNER_MESSAGES = (
    late(r"\"(?:message|raw|detail|msg)\"\s*:\s*\"((?:[^\"\\]|\\.)*)\""),
    late(r"'(?:message|raw|detail)'\s*:\s*\"((?:[^\"\\]|\\.)*)\""),
    late(r"'(?:message|raw|detail)'\s*:\s*'((?:[^'\\]|\\.)*)'"),
)


def _innermost(text: str, depth: int = MAX_NESTED) -> str:
    """Relays quote the error that they were given; the words of the server that refused stand inside."""
    if not depth or "{" not in text:
        return text
    for pattern in INNER_MESSAGES:
        if found := [inner for inner in pattern.findall(text) if inner]:
            inner = max(found, key=len).replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
            return _innermost(inner, depth - 1)
    return text


# --- validators -----------------------------------------------------------------

LISTED = late(
    r"['\"]type['\"]: ?['\"](\w+)['\"], ?['\"]loc['\"]: ?[(\[]([^)\]]*)[)\]], ?['\"]msg['\"]: ?"
    r"(?:'([^'\n]*)'|\"([^\"\n]*)\")"
)
"""Pydantic's list of problems, in Python or JSON."""
PRINTED = late(r"(?:^|\n)([\w.\[\]-]+(?: -> [\w.-]+)*)\n\s+(.+?) [\[(]type=([\w.]+)")
"""Pydantic's own text: the path, and below it the problem."""
GOOGLE = late(r"unknown name \"([^\"]+)\"(?: at '([^']*)')?: cannot find field", re.IGNORECASE)
GROQ = late(r"'([\w.]+)' ?: ?property '([\w.\[\]]+)' is unsupported")
LED = late(r"(?:^|[\s;>(\"'`:-])([A-Za-z_]\w{0,60}(?:\.[\w$-]{1,60}|\[\w{1,60}\]){0,12}): (?=\S)")
INVALID = late(
    r"(?i)^(?:[\w ]{0,20}: )?invalid (?:type for |value (?:for|at) |parameter |field "
    r")?['\"`]([a-z_]\w{0,60}(?:\.[\w$-]{1,60}|\[\w{1,60}\]){0,12})['\"`]:? "
)
PATH = late(r"[A-Za-z_$][\w$]*(?:\.[\w$*-]+|\[\w*\])*")


def _validated(text: str) -> Iterator[Sentence]:
    for kind, place, one, other in LISTED.findall(text):
        steps = re.findall(r"[\w$.-]+", place)
        yield Sentence(f"{kind} {_clean(one or other)}".lower(), path_of(".".join(steps)))
    for place, words, kind in PRINTED.findall(text):
        yield Sentence(f"{kind} {_clean(words)}".lower(), path_of(place))
    for name, place in GOOGLE.findall(text):
        yield Sentence("unknown field", path_of(f"{place}.{name}" if place else name))
    for place, name in GROQ.findall(text):
        yield Sentence("unsupported", path_of(f"{place}.{name}"))


def _led(text: str) -> Iterator[Sentence]:
    """`messages.1.output_config: Extra inputs are not permitted; tools.0.x: ...`"""
    found = [lead for lead in (*INVALID.finditer(text), *LED.finditer(text)) if _is_path(lead)]
    for lead, following in zip(found, [*found[1:], None], strict=False):
        words = text[lead.end() : following.start() if following else None]
        # the rest of the text explains; the first words say what is refused
        yield Sentence(_clean(words).lower(), path_of(lead[1]))


def _is_path(lead: re.Match[str]) -> bool:
    """A word before a colon is a path if it has steps, or is the name of a field and begins a clause."""
    begins = not (before := lead.string[: lead.start(1)].rstrip(" '\"`")) or before[-1] in ";:>(-"
    begins = begins or lead.re.pattern == INVALID.pattern
    return "." in lead[1] or "[" in lead[1] or (begins and lead[1] in FIELD_NAMES)


FIELD_NAMES = frozenset(
    """
    model messages input system instructions tools tool_choice parallel_tool_calls max_tokens
    max_completion_tokens max_output_tokens temperature top_p top_k stop stop_sequences stream stream_options
    thinking reasoning reasoning_effort output_config output_format response_format text store metadata user
    safety_identifier service_tier verbosity prompt_cache_key prompt_cache_retention include truncation
    context_management cache_control enable_thinking chat_template_kwargs n seed logprobs top_logprobs logit_bias
    frequency_penalty presence_penalty functions function_call modalities think format effort betas container
    mcp_servers speed inference_geo client_metadata
    """.split()
)


def path_of(text: str) -> Path:
    """The steps of a path, `*` for every entry of a list; without what validators add to it."""
    steps = re.findall(r"[\w$*-]+", text.replace("[]", ".0").replace(" -> ", "."))
    while steps and steps[0] in ENVELOPES:
        steps = steps[1:]
    named = ["*" if step.isdigit() else step for step in steps]
    return tuple(step for step in named if step not in KINDS and not step[0].isupper())


ENVELOPE = late(r"\b(?:body|parameters?|request|payload)\.(?=[a-z_])")
ENVELOPES = frozenset({"body", "parameter", "parameters", "request", "$", "payload", "json"})
KINDS = frozenset(
    {"str", "int", "float", "bool", "function-wrap", "function-after", "tagged-union", "list", "dict"}
)


# --- plain words ----------------------------------------------------------------


def _plain(text: str, param: str) -> tuple[Sentence, ...]:
    """The clauses of a text. Where the error names a field, the first is about that."""
    clauses = [Sentence(words) for words in _clean(text).lower().split("; ") if words.strip()]
    if not clauses or not PATH.fullmatch(param):
        return tuple(clauses)
    return (msgspec.structs.replace(clauses[0], path=path_of(param)), *clauses[1:])


ECHO = late(
    r"(?s)['\"](?:content|input|text|arguments|prompt|description|value)['\"]\s*:.*"
    r"|\b(?:input_value|but got|but received|received:|got:|you provided|whereas you provided)\b.*?(?=[.;]\s|$)"
)
QUOTED = late(
    r"\"([^\"\n]{0,2000})\"|`([^`\n]{0,2000})`|(?<!\w)'([^'\n]{0,2000})'(?!\w)|“([^”]{0,2000})”|‘([^’]{0,2000})’"
    r"|「([^」]{0,2000})」"
)
NAMED = late(
    r"(?i)\b(?:tool|function|model|deployment|engine|named|called|agent|file|skill|server)s?:? ?"
    r"(?:\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)|“[^”]*”)"
    r"|\b(?:tool|function)s?(?: name)?: ?[\w./:-]+"
    r"|(?:工具|函数|模型)\s*[\w./:-]+"
)
"""Names that the request gave to something."""
SPECIAL_NAMES = late(r"(?i)tools?[^\n]{0,20}\b(?:namespace|custom|tool_search|additional_tools)\b")
VALUE = late(r"[\w$.\[\]*<>=+-]{1,80}")


def _clean(text: str) -> str:
    """The text without what it quotes of the request; of quotations only single words are left."""
    text = ENVELOPE.sub("", ECHO.sub(" ", text))
    if not SPECIAL_NAMES.search(text):
        text = NAMED.sub(lambda found: f"{found[0].split()[0].rstrip(':')} ", text)
    return QUOTED.sub(_unquoted, text)


def _unquoted(found: re.Match[str]) -> str:
    inner = next((group for group in found.groups() if group is not None), "").strip()
    return f"'{inner}'" if VALUE.fullmatch(inner) else " "

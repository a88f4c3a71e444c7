"""The fields that a refusal names, to be left out: exactly those, and nothing around them."""

import re

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.late_pattern import late
from switchyard.protocols.refusals.rows import GAP, UNKNOWN, Learned, adds
from switchyard.protocols.refusals.sentences import Sentence, path_of

INDISPENSABLE = frozenset(
    """
    model messages input tools stream max_tokens system instructions role content type text name call_id function
    tool_call_id tool_use_id tool_calls arguments parameters input_schema source data url image_url file_data
    function_declarations properties required items signature encrypted_content thinking_blocks *
    body field parameter argument property value key json schema request object string
    """.split()
)
HINTS = frozenset(
    """
    user metadata user_id safety_identifier prompt_cache_key prompt_cache_retention service_tier verbosity summary
    include truncation logit_bias seed logprobs top_logprobs id name detail display ttl scope speed strict
    stream_options user_location search_context_size stop stop_sequences store client_metadata
    """.split()
)
"""Fields without which the answer is nearly the same: they are left out even if only their value is refused."""
NO_NAMES = frozenset(
    "expected one of supplied provided supported for this with is in at by the value values and not".split()
)
PATH = r"[a-z_$][\w$]{0,60}(?:\.[\w$*-]{1,60}|\[\w{0,60}\]){0,12}"
NOUN = (
    r"(?:param(?:eter)?s?|arguments?|fields?|keys?|propert(?:y|ies)|keyword arguments?|options?|names?|inputs?"
    r"|参数|字段)(?:\(s\))?(?![a-z])"
)
LISTED_NAMES = late(
    rf"(?:unsupported|unknown|unrecogni[sz]ed|unexpected|additional|extra|not support|invalid){GAP}{NOUN}"
    rf"[^:,.'\[({{]{{0,40}}(?:[:：] ?[\[({{]*|[\[({{]+|(?='))((?:'?{PATH}'?(?:: ?[^,}}]{{0,40}})?(?:, ?| and )?)+)"
    rf"|(?:未知|不支持|无法识别)(?:的)?{NOUN}[:： ]*('?{PATH}'?)"
)
SUBJECT = late(
    rf"(?:^|[\s:(])(?:{NOUN} )?'({PATH})'(?: {NOUN})?,? (?:is|are|was|has been|does not|doesn't|cannot|can't|isn't)"
    rf"|(?:{NOUN}:? ?)'?({PATH})'? ?(?:is |are |was )?(?:{UNKNOWN})"
    rf"|(?:not support|not accept|not allow|not recogni[sz]e)(?:ed)?(?: the)?(?: {NOUN})?:? '({PATH})'"
    rf"|^\W*({PATH}):? (?:is |are )?(?:{UNKNOWN})"
    rf"|^\W*invalid ({PATH}):|'({PATH})' was unexpected|unexpected keyword argument '({PATH})'"
)


def dropped(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
    """The refused paths, and nothing around them."""
    paths = [sentence.path] if sentence.path else [path_of(name) for name in _named(sentence.words)]
    dropped = tuple(_anywhere(".".join(path)) for path in paths if path and _is_dispensable(path))
    if dropped and not set(dropped) <= set(known.dropped_fields):
        yield f"it does not know {', '.join(dropped)}", adds("dropped_fields", dropped, known)


def _named(words: str) -> list[str]:
    if names := _listed(words):
        return names
    subject = SUBJECT.search(words)
    return [next(filter(None, subject.groups()), "")] if subject is not None else []


def _listed(words: str) -> list[str]:
    """`unsupported parameters: 'a', 'b'`; where some are in quotes only these."""
    listed = LISTED_NAMES.search(words)
    if listed is None:
        return []
    text = listed[1] or listed[2]
    return re.findall(rf"'({PATH})'", text) or re.findall(rf"(?<![\w.])({PATH})(?![\w.])", text)


def several(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
    """Several fields at once: to drop them one by one takes too many requests."""
    if len(_listed(sentence.words)) > 1:
        yield from dropped(found, sentence, known)


def _is_dispensable(path: tuple[str, ...]) -> bool:
    last = path[-1]
    if last in INDISPENSABLE and not (last == "name" and path[:1] == ("messages",)):
        return False
    return last not in NO_NAMES and not (path[0] == "tools" and len(path) == 2)


def _anywhere(path: str) -> str:
    """What marks a place for caching may stand at many places, and is refused at all of them."""
    _, mark, inner = path.rpartition("cache_control.")
    return f"**.{mark}{inner}" if mark else path

"""What a refusal says of values: which are allowed, and between which bounds."""

import re

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.effort import EFFORTS
from switchyard.protocols.late_pattern import late
from switchyard.protocols.refusals.rows import NUMBER, Learned, adds, whole_name
from switchyard.protocols.refusals.sentences import Sentence


def efforts(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
    listed = ALLOWED.search(sentence.words)
    words = re.findall(r"[a-z]+", listed[1]) if listed is not None else []
    allowed = tuple(effort for effort in EFFORTS if effort in words)
    if allowed:
        yield f"it knows only these efforts: {', '.join(allowed)}", {"efforts": allowed}


ALLOWED = late(
    r"(?:(?<![a-z])(?:supported|allowed|valid|accepted|permitted|possible|available|expected) "
    r"(?:values?|options?|efforts?|levels?|tags)|(?:must|should|can only|can) be|expected(?: one of)?|one of"
    r"|only supports?|supports only|可选值|取值|只支持|仅支持|必须为|必须是)((?:(?!\. ).){1,300})",
    re.DOTALL,
)


def schema_forms(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
    """The form of a whole answer, or only that it may be an object."""
    takes_object = re.search(r"json_object", sentence.words) is not None
    more = {"json_object": True} if takes_object and not known.json_object else {}
    yield "it does not take json_schema", {"json_schema": False, **more}


def bounds(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
    named = NUMBER_FIELD.search(sentence.words)
    name = ".".join(sentence.path) or (named[0] if named is not None else "")
    name = name.replace("thinking.enabled.", "thinking.")
    least, most = _limits_of(sentence.words)
    if name == "temperature" and most is not None and least in (None, 0):
        if most < known.max_temperature:
            yield f"it takes a temperature of at most {most:g}", {"max_temperature": most}
        return
    # a request for no tokens, or fewer, is the client's own error
    wanted = [f"{name}>={least:g}"] if least is not None and not (least <= 1 and "tokens" in name) else []
    wanted += [f"{name}<={most:g}"] if most is not None else []
    if name and wanted and NUMERIC.fullmatch(name):
        yield f"it takes only {', '.join(wanted)}", adds("bounds", tuple(wanted), known)


NUMERIC = late(
    r"temperature|top_p|top_k|top_logprobs|n|frequency_penalty|presence_penalty|repetition_penalty|min_p"
    r"|max_tokens|max_completion_tokens|max_output_tokens|thinking\.(?:enabled\.)?budget_tokens|thinking_budget"
)
NUMBER_FIELD = late(whole_name(NUMERIC.pattern))
NEAREST = 0.01
MOST = late(
    r"(less than or equal to|<=|≤|at most|no (?:more|greater|larger|higher) than|not exceed|maximum(?: "
    r"value)?(?: of| is|:)?"
    r"|up to|less than|<(?!\s*\d+>)|不(?:能)?(?:大于|超过)|小于(?:等于)?)\s*'?" + NUMBER
)
LEAST = late(
    r"(greater than or equal to|>=|≥|at least|no (?:less|lower|smaller) than|minimum(?: value)?(?: of| is|:)?"
    r"|greater than|more than|>|不(?:能)?(?:小于|低于)|大于(?:等于)?)\s*'?" + NUMBER
)
RANGE = late(
    r"(?:between|range(?: of| is)?:?(?: [a-z_]+)?(?: is| should be| must be)?|within|in|from|范围(?:是|为|："
    rf"|:)?|介于)\s*([\[(（]?)\s*{NUMBER}\s*(?:,|，|and|to|-|~|\.\.|和|到)\s*{NUMBER}\s*([\])）]?)"
)
EXCLUSIVE = frozenset({"less than", "<", "greater than", "more than", ">", "小于", "大于"})


def _limits_of(words: str) -> tuple[float | None, float | None]:
    if span := RANGE.search(words):
        opened, least, most, closed = span.groups()
        return (
            float(least) + (NEAREST if opened in ("(", "（") and closed else 0),
            float(most) - (NEAREST if closed in (")", "）") and opened else 0),
        )
    if "strictly positive" in words:
        return NEAREST, None
    low, high = LEAST.search(words), MOST.search(words)
    return (
        float(low[2]) + (NEAREST if low[1] in EXCLUSIVE else 0) if low else None,
        float(high[2]) - (NEAREST if high[1] in EXCLUSIVE else 0) if high else None,
    )


KEYWORDS = {
    name.lower(): name
    for name in (
        "$ref", "$defs", "$schema", "oneOf", "anyOf", "allOf", "not", "const", "format", "pattern",
        "patternProperties", "additionalProperties", "propertyNames", "default", "examples", "title", "minLength",
        "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems",
        "maxItems", "uniqueItems", "prefixItems", "if", "then", "else", "nullable", "dependentRequired",
    )
}  # fmt: skip
PLAIN_WORDS = frozenset(
    {"not", "if", "then", "else", "format", "default", "title", "pattern", "minimum", "maximum"}
)
"""They name a keyword only in quotes or at the end of a path."""
KEYWORD = late(
    r"'("
    + "|".join(map(re.escape, KEYWORDS))
    + r")'|(?<![\w$])("
    + "|".join(re.escape(name) for name in KEYWORDS if name not in PLAIN_WORDS)
    + r")(?!\w)"
)
SCHEMA_PATH = (
    r"tools(?:\..*)?\.(?:parameters|input_schema|schema)(?:\..*)?|tools\..*\.function_declarations\..*"
)


def keywords(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
    """Keywords of schemas; if they are not to blame, the dialect."""
    last = sentence.path[-1].lower() if sentence.path else ""
    named = [one or other for one, other in KEYWORD.findall(sentence.words)]
    names = tuple(dict.fromkeys(KEYWORDS[name] for name in ([last] if last in KEYWORDS else named)))
    if names and "flavored" not in sentence.words and "top level" not in sentence.words:
        yield f"it does not know {', '.join(names)} in schemas", adds("refused_keywords", names, known)
    yield "it knows only simple schemas", {"full_schemas": False}


def betas(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
    names = tuple(re.findall(r"[a-z0-9][a-z0-9-]+", found[1] or "")) or ("*",)
    yield f"it does not know these betas: {', '.join(names)}", adds("refused_betas", names, known)

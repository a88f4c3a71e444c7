"""Decode from a refusal how many tokens are too many: of the prompt, of the answer, or of both together."""

from typing import NamedTuple

from switchyard.protocols.late_pattern import late

LEAST_LEFT = 1024
"""An answer with less room than this is not worth having: then the prompt is what is too long."""

THOUSANDS = late(r"(?<=\d),(?=\d{3}\b)")
OVERFLOW = late(
    r"(?i)prompt is too long|prompt too long|input is too long|maximum context length|maximum prompt length"
    r"|exceeds? (?:the |this |your )?(?:model'?s? )?(?:available |maximum |max )?context"
    r"|context (?:window|length|size|limit)[^.]{0,40}(?:exceed|overflow|too)"
    r"|(?:exceed|overflow|greater than|larger than|longer than)[^.]{0,60}context (?:window|length|size|limit)"
    r"|too many (?:input )?tokens in|input tokens? exceeds?|reduce the length|tokens? limit exceeded"
    r"|exceeded model token limit|longer than the maximum model length|input token count[^.]{0,30}exceeds"
    r"|range of input length should be|context length of only|must have less than \d{1,12} tokens"
    r"|(?:prompt|input)(?: length)?(?: \(\d{1,12} tokens\))? exceeds? (?:the )?max(?:imum)?(?: allowed)? length"
)
OVERFLOW_NUMBERS = tuple(
    late(pattern)
    for pattern in (
        r"(?i)passed (?P<tokens>\d{1,12}) input tokens.{0,100}?context length is only (?P<limit>\d{1,12})",
        r"(?i)length (?P<tokens>\d{1,12})\) is longer than the maximum model length of (?P<limit>\d{1,12})",
        r"(?i)tokens \((?P<tokens>\d{1,12})\) exceed context window of (?P<limit>\d{1,12})",
        r"(?i)token count \((?P<tokens>\d{1,12})\) exceeds [a-z ]{1,40}\((?P<limit>\d{1,12})",
        r"(?i)contains (?P<tokens>\d{1,12}) tokens.{0,40}?too large for model with (?P<limit>\d{1,12})",
        r"(?i)limit of (?P<limit>\d{1,12}) tokens\. your messages resulted in (?P<tokens>\d{1,12})",
        r"(?i)\((?P<tokens>\d{1,12}) tokens\) exceeds the maximum allowed length \((?P<limit>\d{1,12})",
        r"(?i)less than (?P<limit>\d{1,12}) tokens\. given: (?P<tokens>\d{1,12})",
        r"(?i)first (?P<tokens>\d{1,12}) tokens.{0,80}?context length of only (?P<limit>\d{1,12})",
        r"(?i)(?P<tokens>\d{1,12})\s*tokens? > (?P<limit>\d{1,12})",
        r"(?i)prompt too long: (?P<tokens>\d{1,12}) tokens exceeds [a-z ]*?(?P<limit>\d{1,12})",
        r"(?is)context (?:length|window|size) (?:is|of) (?P<limit>\d{1,12})"
        r".{0,200}?(?P<tokens>\d{1,12}) (input )?tokens",
        r"(?i)\((?P<tokens>\d{1,12})(?: tokens)?\)[^(]{0,80}context[^(]{0,40}\((?P<limit>\d{1,12})",
        r"(?i)prompt length is (?P<limit>\d{1,12})[^.]{0,80}contains (?P<tokens>\d{1,12}) tokens",
        r"(?i)(?P<tokens>\d{1,12}) (?:input )?tokens[^.]{0,80}(?:context|limit|maximum)[^.\d]{0,40}(?P<limit>\d{1,12})",
        r"(?i)context (?:length|window|size|limit)[^.\d]{0,20}(?P<limit>\d{1,12})",
        r"(?i)(?:token limit:?|input length should be \[1,|the maximum length) (?P<limit>\d{1,12})",
    )
)
SHARED_NUMBERS = tuple(
    late(pattern)
    for pattern in (
        # Anthropic: input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000
        r"(?i)context limit: (?P<prompt>\d{1,12}) \+ (?P<answer>\d{1,12}) > (?P<window>\d{1,12})",
        # vLLM: your request has 12000 input tokens (32000 > 32768 - 12000)
        r"(?i)\((?P<answer>\d{1,12}) > (?P<window>\d{1,12}) - (?P<prompt>\d{1,12})\)",
        # OpenAI, older vLLM, OpenRouter, SGLang: 44000 tokens (12000 in the messages, 32000 in the completion)
        r"(?is)context length (?:is|of) (?P<window>\d{1,12}).{0,120}?tokens ?[(:] ?(?P<prompt>\d{1,12})"
        r"(?: tokens)? (?:in|of|from) .{0,60}?(?P<answer>\d{1,12})(?: tokens)? (?:in|for) the (?:completion|output)",
        # newer vLLM: you requested 32000 output tokens and your prompt contains at least 12000 input tokens
        r"(?is)context length is (?P<window>\d{1,12}).{0,60}?requested (?P<answer>\d{1,12}) output tokens"
        r".{0,60}?(?P<prompt>\d{1,12}) input tokens",
        r"(?is)passed (?P<prompt>\d{1,12}) input tokens and requested (?P<answer>\d{1,12}) output tokens"
        r".{0,60}?context length is only (?P<window>\d{1,12})",
        # TGI: must be <= 4096. Given: 3000 `inputs` tokens and 2000 `max_new_tokens`
        r"(?i)<= (?P<window>\d{1,12})\. Given: (?P<prompt>\d{1,12}) `?inputs`? tokens and (?P<answer>\d{1,12})",
    )
)
OUTPUT_BUDGET = late(
    r"(?i)max_(?:completion_|output_|new_)?tokens['`\"]?[^.]{0,60}"
    r"(?:is too large|exceeds?|must be|> \d|at most|should be|is \[)"
    r"|at most \d{1,12} completion tokens|input length and `max_tokens` exceed"
)
OUTPUT_LIMITS = tuple(
    late(pattern)
    for pattern in (
        r"(?i)at most (\d{1,12}) completion tokens",
        r"(?i)max_(?:output_)?tokens:? \d{1,12} > (\d{1,12})",
        r"(?i)(?:less than or equal to|at most|<=|\[1, ?|limit (?:of|is)) ?`?(\d{1,12})",
    )
)


class Window(NamedTuple):
    """What a prompt and the requested answer have together, and what both may have."""

    prompt: int
    answer: int
    window: int

    @property
    def leaves_enough(self) -> bool:
        """A shorter answer would do."""
        return self.window - self.prompt >= LEAST_LEFT


def shared_window(message: str) -> Window | None:
    """The three numbers of a refusal that counts prompt and answer together."""
    text = THOUSANDS.sub("", message)
    for pattern in SHARED_NUMBERS:
        if found := pattern.search(text):
            return Window(int(found["prompt"]), int(found["answer"]), int(found["window"]))
    return None


def overflow_numbers(message: str) -> tuple[int | None, int | None]:
    """The tokens of the prompt and what they may be, as far as they are named."""
    text = THOUSANDS.sub("", message)
    for pattern in OVERFLOW_NUMBERS:
        if found := pattern.search(text):
            numbers = found.groupdict()
            return _number(numbers.get("tokens")), _number(numbers.get("limit"))
    return None, None


def output_limit(message: str) -> int | None:
    """The most tokens that an answer may have, whatever the prompt."""
    text = THOUSANDS.sub("", message)
    return next((_number(found[1]) for limit in OUTPUT_LIMITS if (found := limit.search(text))), None)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)

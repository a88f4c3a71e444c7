"""Decide whether two names mean one model: vendors, clouds and relays spell them in their own ways."""

import re
from functools import lru_cache

import msgspec

FLOATING = frozenset({"latest", "default", "auto"})
DATE = re.compile(r"(?:(?:19|20)\d{2}-?\d{2}-?\d{2}|(?<!\d)(?:0[1-9]|1[0-2])-20\d{2})(?!\d)")
SHORT_DATE = re.compile(r"(?<=[a-z0-9])-(?:\d{2}(?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01]))(?=-|$)")
"""`-0613` or `-2411`: a month with a day or a year"""
REVISION = re.compile(r"-00\d$")
SIZE = re.compile(r"(?<![a-z0-9])[ae]?\d+(?:\.\d+)?[bm](?![a-z0-9])")
PIECE = re.compile(r"[a-z]+|\d+")
CLOUD_PREFIX = re.compile(
    r"^(?:(?:us|eu|apac|au|jp|global)\.)?(?:anthropic|amazon|meta|mistral|cohere|deepseek|qwen|openai)\."
)
CLOUD_SUFFIX = re.compile(r"-v\d+(?::\d+)?(?::\d+k)?$")
SAME_WORDS = {"chatgpt": "gpt", "moonshot": "kimi"}
NEUTRAL = frozenset(
    """
    latest default preview exp experimental stable beta free thinking reasoning instruct it chat hf
    fp fp8 fp16 bf bf16 nvfp mxfp int awq gptq gguf mlx quantized online tee turbo-preview
    """.split()
)
"""words that name a form of a model and no other model"""
QUANTIZED = re.compile(
    r"(?<![a-z0-9])(?:i?q\d[a-z0-9_]*|(?:nv|mx)?fp\d+|bf16|int\d+|w\d+a\d+|\d+bit)(?![a-z0-9])"
)
FILE = re.compile(r"\.(?:gguf|bin|safetensors)$")
ALIASES = {
    "gpt-4-turbo-preview": "gpt-4",
    "gpt-4-1106-preview": "gpt-4",
    "gpt-4-0125-preview": "gpt-4",
}


class Name(msgspec.Struct, frozen=True):
    """`words` in any order, `numbers` as they stand, `sizes` such as 32b; a floating name has no fixed version."""

    words: frozenset[str]
    numbers: tuple[str, ...]
    sizes: frozenset[str]
    is_floating: bool


@lru_cache(maxsize=4096)
def same_model(requested: str, answered: str) -> bool:
    """True if both names may mean the same model: dates, clouds, sizes and forms do not make another one."""
    one, other = read_name(requested), read_name(answered)
    if one.sizes and other.sizes and not (one.sizes <= other.sizes or other.sizes <= one.sizes):
        return False
    if one.is_floating or not one.numbers:
        # "kimi-latest", "deepseek-chat": the vendor decides which model that is
        return one.words <= other.words
    return one.words == other.words and one.numbers == other.numbers


def read_name(model: str) -> Name:
    name = model.strip().lower().replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = FILE.sub("", name)
    name = ALIASES.get(name, name)
    name = name.partition("[")[0]
    name = CLOUD_SUFFIX.sub("", CLOUD_PREFIX.sub("", name))
    name = QUANTIZED.sub("", name).replace("@", "-").replace("_", "-")
    name = SHORT_DATE.sub("", REVISION.sub("", DATE.sub("", name).strip("-")))
    sizes = frozenset(SIZE.findall(name))
    pieces = PIECE.findall(SIZE.sub("", name))
    words = [SAME_WORDS.get(piece, piece) for piece in pieces if piece.isalpha()]
    numbers = [piece for piece in pieces if piece.isdigit()]
    while len(numbers) > 1 and numbers[-1] == "0":
        numbers.pop()  # claude-sonnet-4-0 is claude-sonnet-4
    return Name(
        frozenset(words) - NEUTRAL,
        tuple(number.lstrip("0") or "0" for number in numbers),
        sizes,
        is_floating=bool(FLOATING & frozenset(words)),
    )

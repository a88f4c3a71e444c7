"""Report a refused image in the words after which Claude Code leaves it out, whatever the upstream's own words."""

from switchyard.protocols.errors.meaning import IMAGE_NAMES, plain_name, unquoted
from switchyard.protocols.late_pattern import late
from switchyard.protocols.neutral import ErrorType, WireError

NAMES = frozenset(plain_name(name) for name in IMAGE_NAMES.split())
PARAM = late(r"\bimage_url(?:\.url)?$")
CLAUDE_CODE_WORDS = late(
    r"(?i)could not process image|image exceeds|image dimensions exceed"
    r"|image does not match the provided media type|image cannot be empty|exceeds? (?:the )?api limit"
)
"""After these Claude Code sends the conversation again without its images."""
REFUSED_IMAGE = late(
    # Anthropic
    r"(?i)\.image\.source\b"
    # OpenAI
    r"|does not represent a valid image"
    r"|(?:unsupported|invalid|corrupted?|malformed) (?:base64 )?image(?! (?:input|model))"
    # Google
    r"|unable to process input image|provided image is not valid"
    # vLLM, SGLang, llama.cpp, Ollama
    r"|cannot identify image|failed to (?:load|open|decode|process|parse|download) (?:the )?image|image: unknown format"
    # Aliyun, Zhipu
    r"|image format is illegal|image length and width do not meet"
    r"|(?:图片|图像)[^。，]{0,12}(?:格式错误|解析|无效|损坏|过大|尺寸)"
)


def image_sentence(error: WireError) -> str:
    """The message of a refusal; unchanged if no image is at fault."""
    if CLAUDE_CODE_WORDS.search(error.message) or not _refuses_image(error):
        return error.message
    return f"Could not process image: {error.message}"


def _refuses_image(error: WireError) -> bool:
    return error.type is ErrorType.INVALID_REQUEST and (
        plain_name(error.code) in NAMES
        or PARAM.search(error.param) is not None
        or REFUSED_IMAGE.search(unquoted(error.message)) is not None
    )

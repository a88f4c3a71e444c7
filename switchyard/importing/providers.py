"""Well-known providers: their addresses, and the names under which other programs list them."""

import msgspec

from switchyard.importing.imported import Json
from switchyard.importing.router import GEMINI_CHAT


class Provider(msgspec.Struct, frozen=True):
    """A provider; `keys` and `bases` are the usual variables of its key and its address.

    LiteLLM reads the last of `keys`.
    """

    name: str
    base_url: str
    protocol: str
    keys: tuple[str, ...]
    bases: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """what LiteLLM writes before a model: deepseek/deepseek-chat"""


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "Anthropic",
        "https://api.anthropic.com",
        "messages",
        ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
        ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        ("anthropic",),
    ),
    Provider(
        "OpenAI",
        "https://api.openai.com/v1",
        "chat",
        ("OPENAI_API_KEY",),
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ("openai",),
    ),
    Provider(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "chat",
        ("OPENROUTER_API_KEY",),
        ("OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"),
        ("openrouter",),
    ),
    Provider(
        "DeepSeek",
        "https://api.deepseek.com",
        "chat",
        ("DEEPSEEK_API_KEY",),
        ("DEEPSEEK_BASE_URL", "DEEPSEEK_API_BASE"),
        ("deepseek",),
    ),
    Provider("Gemini", GEMINI_CHAT, "chat", ("GOOGLE_API_KEY", "GEMINI_API_KEY"), (), ("gemini",)),
    Provider("Groq", "https://api.groq.com/openai/v1", "chat", ("GROQ_API_KEY",), (), ("groq",)),
    Provider("Mistral", "https://api.mistral.ai/v1", "chat", ("MISTRAL_API_KEY",), (), ("mistral",)),
    Provider("xAI", "https://api.x.ai/v1", "chat", ("XAI_API_KEY",), (), ("xai",)),
    Provider(
        "Moonshot",
        "https://api.moonshot.cn/v1",
        "chat",
        ("MOONSHOT_API_KEY",),
        ("MOONSHOT_BASE_URL", "MOONSHOT_API_BASE"),
        ("moonshot",),
    ),
    Provider(
        "DashScope",
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "chat",
        ("DASHSCOPE_API_KEY",),
        ("DASHSCOPE_BASE_URL", "DASHSCOPE_API_BASE"),
        ("dashscope",),
    ),
    Provider(
        "SiliconFlow",
        "https://api.siliconflow.cn/v1",
        "chat",
        ("SILICONFLOW_API_KEY",),
        ("SILICONFLOW_BASE_URL",),
    ),
    Provider(
        "Z.ai",
        "https://open.bigmodel.cn/api/paas/v4",
        "chat",
        ("ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "ZAI_API_KEY"),
        ("ZHIPUAI_BASE_URL", "ZAI_BASE_URL"),
        ("zai",),
    ),
    Provider(
        "Together",
        "https://api.together.xyz/v1",
        "chat",
        ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        (),
        ("together_ai",),
    ),
    Provider(
        "Fireworks",
        "https://api.fireworks.ai/inference/v1",
        "chat",
        ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
        (),
        ("fireworks_ai",),
    ),
    Provider(
        "Ollama",
        "http://localhost:11434",
        "chat",
        (),
        ("OLLAMA_BASE_URL", "OLLAMA_API_BASE"),
        ("ollama", "ollama_chat"),
    ),
    Provider("LM Studio", "http://localhost:1234", "chat", (), ("LM_STUDIO_API_BASE",), ("lm_studio",)),
)


def upstream(name: str, base_url: str, key: str, protocol: str, **more: object) -> Json:
    """An entry of the settings file; members that are empty are left out."""
    entry: Json = {"name": name, "base_url": base_url, "key": key, "protocol": protocol}
    return entry | {field: value for field, value in more.items() if value}

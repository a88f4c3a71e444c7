"""What an error means, whatever its status: the words of services and relays, in English and in Chinese."""

import time

import msgspec
import pytest

from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.errors.meaning import NAMED_TYPES, NAMES, is_of_account, unquoted
from switchyard.protocols.neutral import ErrorType

INVALID = ErrorType.INVALID_REQUEST
OVERFLOW = ErrorType.CONTEXT_OVERFLOW
KEY = ErrorType.AUTHENTICATION
CREDIT = ErrorType.BILLING
DENIED = ErrorType.PERMISSION
UNKNOWN = ErrorType.MODEL_NOT_FOUND
TOO_LARGE = ErrorType.TOO_LARGE
RATE = ErrorType.RATE_LIMIT
QUOTA = ErrorType.QUOTA
SERVER = ErrorType.SERVER
BUSY = ErrorType.OVERLOADED


def meaning_of(status: int, body: object) -> ErrorType:
    content = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return decode_error(status, content).type


def said(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


def new_api(message: str, code: str = "") -> dict[str, object]:
    return said(f"{message} (request id: 20260622164054695403138c96lrRzi)", type="new_api_error", code=code)


ROWS: list[tuple[int, object, ErrorType]] = [
    # overload
    (400, said("当前模型负载过高，请稍后重试", type="server_error"), BUSY),
    (400, said("当前负载过高"), BUSY),
    (400, said("服务繁忙"), BUSY),
    (422, said("系统繁忙，请稍后再试"), BUSY),
    (500, said("系统繁忙，请稍后再试"), BUSY),
    (500, new_api("当前分组上游负载已饱和，请稍后再试"), BUSY),
    (429, new_api("当前分组上游负载已饱和，请稍后再试"), RATE),
    (503, new_api("当前分组上游负载已饱和，请稍后再试", "model_not_found"), BUSY),
    (500, new_api("Current group upstream load is saturated, please try again later"), BUSY),
    (400, said("The server is overloaded"), BUSY),
    (400, said("server is busy, please try again"), BUSY),
    (403, said("The model is currently overloaded with other requests"), BUSY),
    (429, {"error": {"code": "1305", "message": "该模型当前访问量过大，请您稍后再试"}}, BUSY),
    (429, said("The engine is currently overloaded", type="engine_overloaded_error"), BUSY),
    (429, said("x", code="ServerOverloaded"), BUSY),
    (502, {"error": {"type": "upstream_error", "message": "Upstream service overloaded"}}, BUSY),
    (503, {"error": {"code": 503, "message": "No available Gemini accounts", "status": "UNAVAILABLE"}}, BUSY),
    (503, said("No available accounts: no available accounts", type="api_error"), BUSY),
    (400, said("生成失败，请稍后再试"), BUSY),
    (400, "当前模型负载过高，请稍后重试", BUSY),
    # rate limits
    (400, said("Rate limit exceeded"), RATE),
    (400, said("请求过于频繁，请稍后再试"), RATE),
    (403, said("You have exceeded a secondary rate limit"), RATE),
    (500, said("upstream: 429 Too Many Requests"), RATE),
    (429, new_api("您已达到请求数限制：1分钟内最多请求10次"), RATE),
    (
        429,
        {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded, please try again later."},
        RATE,
    ),
    (
        429,
        {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded, please increase it."},
        RATE,
    ),
    (429, said("Allocated quota exceeded, please increase your quota limit."), RATE),
    (429, said("Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'"), RATE),
    (429, said("x", code="RateLimitExceeded.EndpointRPMExceeded"), RATE),
    (429, {"error": {"code": "1302", "message": "您的账户已达到速率限制，请您控制请求频率"}}, RATE),
    # keys
    (400, said("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), KEY),
    (400, said("无效的令牌"), KEY),
    (401, new_api("无效的令牌"), KEY),
    (403, new_api("该令牌已过期"), KEY),
    (500, said("令牌已过期"), KEY),
    (400, said("API key 无效"), KEY),
    (400, said("API Key 已失效，请更换"), KEY),
    (500, said("Invalid API key provided"), KEY),
    (400, said("Your API key has expired"), KEY),
    (403, said("Invalid token"), KEY),
    (401, {"code": "InvalidApiKey", "message": "Invalid API-key provided."}, KEY),
    (401, {"error": {"code": "1000", "message": "身份验证失败。"}}, KEY),
    (
        401,
        {
            "error": {
                "code": "1002",
                "message": "Authorization Token非法，请确认Authorization Token正确传递。",
            }
        },
        KEY,
    ),
    (403, "<html><title>Attention Required! | Cloudflare</title></html>", DENIED),
    # credit
    (400, said("余额不足"), CREDIT),
    (429, said("您的账户已欠费，请充值后重试", code="1113"), CREDIT),
    (401, new_api("该令牌额度已用尽 TokenStatusExhausted[sk-abc***xyz]"), CREDIT),
    (
        403,
        new_api(
            "预扣费额度失败, 用户剩余额度: ¥0.056700, 需要预扣费额度: ¥0.069900", "insufficient_user_quota"
        ),
        CREDIT,
    ),
    (403, said("预扣费额度失败"), CREDIT),
    (500, said("用户额度不足"), CREDIT),
    (401, new_api("This token quota is exhausted TokenStatusExhausted[sk-abc***xyz]"), CREDIT),
    (
        429,
        said("Your account is suspended due to insufficient balance", type="exceeded_current_quota_error"),
        CREDIT,
    ),
    (429, said("insufficient balance, please recharge"), CREDIT),
    (400, said("Your credit balance is too low to access the Anthropic API."), CREDIT),
    (
        400,
        {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
        CREDIT,
    ),
    (
        403,
        said("The request failed because your account has an overdue balance.", code="AccountOverdueError"),
        CREDIT,
    ),
    (402, said("This request requires more credits, or fewer max_tokens."), CREDIT),
    (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, CREDIT),
    # quota
    (429, said("You exceeded your current quota", code="insufficient_quota"), QUOTA),
    (400, said("You have reached your specified API usage limits."), QUOTA),
    (
        429,
        said("Number of request tokens has exceeded your daily rate limit", type="rate_limit_error"),
        QUOTA,
    ),
    (429, {"error": {"code": "1308", "message": "已达到 5 小时的使用上限。"}}, QUOTA),
    (429, said("You have exceeded the monthly usage quota.", code="AccountQuotaExceeded"), QUOTA),
    (429, said("You have exceeded the 5-hour usage quota.", type="TooManyRequests"), QUOTA),
    (
        403,
        {"code": "AllocationQuota.FreeTierOnly", "message": "The free tier of the model has been exhausted."},
        QUOTA,
    ),
    (429, said("已达到每日费用限制"), QUOTA),
    (400, said("本月配额已用完"), QUOTA),
    (500, said("daily limit exceeded"), QUOTA),
    (429, {"type": "error", "error": {"type": "rate_limit_error", "message": "Usage limit reached"}}, QUOTA),
    # models
    (
        503,
        new_api("No available channel for model gpt-5 under group default (distributor)", "model_not_found"),
        UNKNOWN,
    ),
    (503, new_api("分组 default 下模型 gpt-5 无可用渠道（distributor）"), UNKNOWN),
    (503, said("当前分组 default 下对于模型 gpt-4 无可用渠道", type="one_api_error"), UNKNOWN),
    (500, said("当前分组下无可用渠道"), UNKNOWN),
    (429, said("no available channel"), UNKNOWN),
    (500, said("There are no channels available for model under the current group Lv1"), UNKNOWN),
    (
        500,
        said("No available Claude accounts support the requested model: claude-sonnet-4-20250514"),
        UNKNOWN,
    ),
    (403, said("The current group does not support the requested model gpt-5; available models: x"), UNKNOWN),
    (403, new_api("该令牌无权访问模型 gpt-5"), UNKNOWN),
    (403, new_api("This token has no access to model gpt-5"), UNKNOWN),
    (400, said("模型不存在，请检查模型代码。", code="1211"), UNKNOWN),
    (400, said("不支持该模型"), UNKNOWN),
    (403, said("Project `proj_x` does not have access to model `gpt-4o`", code="model_not_found"), UNKNOWN),
    (403, said("Your account does not have access to model gpt-6-astra"), UNKNOWN),
    (404, said("The model or endpoint x does not exist or you do not have access to it."), UNKNOWN),
    (404, said("Your account 1 has not activated the model doubao-x.", code="ModelNotOpen"), UNKNOWN),
    (
        429,
        said("Your current subscription plan does not yet include access to GLM-5.3", code="1311"),
        UNKNOWN,
    ),
    (400, said("Invalid model: gpt-9"), UNKNOWN),
    (422, said("unknown model 'x'"), UNKNOWN),
    (500, said("The model `x` does not exist"), UNKNOWN),
    (400, said("The model is not available in your region"), UNKNOWN),
    # windows
    (500, said("prompt is too long: 9 tokens > 5 maximum"), OVERFLOW),
    (422, said("This model's maximum context length is 4096 tokens"), OVERFLOW),
    (403, said("Input token count exceeds the context window of this model"), OVERFLOW),
    (
        429,
        said(
            "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested "
            "80715. The input or output tokens must be reduced in order to run successfully.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        OVERFLOW,
    ),
    (
        413,
        said(
            "Request too large for model `x` in organization `org_x` on tokens per minute (TPM): Limit 6000, "
            "Requested 9000, please reduce your message size and try again.",
            code="rate_limit_exceeded",
        ),
        OVERFLOW,
    ),
    (413, "<html><title>413 Request Entity Too Large</title></html>", TOO_LARGE),
    # passed on by a relay as text
    (500, said('upstream error: {"error":{"message":"quota","type":"insufficient_quota"}}'), QUOTA),
    (400, said('bad response status code 503, body: {"error":{"message":"无可用渠道"}}'), UNKNOWN),
    (
        502,
        said("Provider returned error", code=502, metadata={"raw": '{"error":{"message":"余额不足"}}'}),
        CREDIT,
    ),
    (500, said("Error code: 429 - {'error': {'code': '1302', 'message': '您的账户已达到速率限制'}}"), RATE),
    # faults of the request stay what they are
    (400, said("messages: at least one message is required"), INVALID),
    (400, said("Unsupported parameter: 'max_tokens' is not supported with this model. Use x."), INVALID),
    (422, {"detail": [{"loc": ["body", "tools", 0], "msg": "Extra inputs are not permitted"}]}, INVALID),
    (400, said("Invalid token in JSON at position 3"), INVALID),
    (400, said("Unexpected token < in JSON"), INVALID),
    (400, said("input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"), INVALID),
    (400, said("该模型不支持图片输入"), INVALID),
    (400, said("Tool choice does not support this model's template"), INVALID),
    # errors of the server
    (500, said("数据库错误，请稍后重试"), SERVER),
    (500, said("API key is valid but the request failed"), SERVER),
    (500, {"message": "boom"}, SERVER),
]


@pytest.mark.parametrize(("status", "body", "type"), ROWS)
def test_an_error_means_what_its_words_mean(status: int, body: object, type: ErrorType) -> None:
    assert meaning_of(status, body) is type


QUOTES: list[tuple[int, object]] = [
    (400, said("The prompt contains 'insufficient quota' and was blocked")),
    (400, said("Output blocked by content filtering policy: server is overloaded")),
    (400, said("Your request was flagged by our moderation system: invalid api key")),
    (400, said("输入内容违规：余额不足")),
    (403, new_api("检测到敏感词：无效的令牌", "sensitive_words_detected")),
    (400, {"code": "DataInspectionFailed", "message": "Input data may contain: quota exceeded"}),
    (400, {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全内容：余额不足"}}),
    (
        400,
        said(
            "Invalid schema for function 'get_quota': quota exceeded is not of type 'object'",
            param="tools[0]",
        ),
    ),
    (400, said("tools.0.custom.name: get_quota_exceeded is too long")),
    (400, said("Unknown tool get_quota_exceeded; server-overloaded is none either")),
    (400, said("messages.1.content.0.text: the model does not exist")),
    (400, said("Tool `insufficient_quota` is not declared")),
    (400, said("Invalid value “余额不足” for stop")),
    (400, said("Invalid value 「无可用渠道」 for stop")),
    (422, {"detail": [{"loc": ["body", "messages", 0, "content"], "msg": "rate limit exceeded"}]}),
    (400, said('Blocked by the content filter: {"error":{"message":"no","type":"insufficient_quota"}}')),
    (400, said('messages.1.content: bad value {"error":{"message":"余额不足"}}')),
    (400, said('bad value {"error":{"message":"余额不足"}}', param="messages[1].content")),
]


@pytest.mark.parametrize(("status", "body"), QUOTES)
def test_what_quotes_the_request_means_nothing_for_the_upstream(status: int, body: object) -> None:
    assert meaning_of(status, body) is INVALID


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ('says "a" and `b`', "says   and  "),
        ("it's the model's own", "it's the model's own"),
        ("see https://h.example/account for more", "see   for more"),
        ('"all of it"', '"all of it"'),
        ('{"error": "quota"}', '{"error": "quota"}'),
    ],
)
def test_quotations_and_addresses_are_left_out(words: str, left: str) -> None:
    assert unquoted(words) == left


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("This request would exceed your account's rate limit. Please try again later.", True),
        ("Your organization has reached its limit", True),
        ("Rate limit reached for this workspace", True),
        ("Too many requests with this API key", True),
        ("This key is limited to 5 requests", True),
        ("You exceeded your current quota. Please retry in 20s", True),
        ("您的账户已达到速率限制，请您控制请求频率", True),
        ("该令牌请求过于频繁", True),
        ("Too many requests", False),
        ("Overloaded", False),
        ("Rate limit reached. Visit https://platform.openai.com/account/rate-limits to learn more.", False),
        (
            "Rate limit reached for gpt-4o-mini in organization org-x on tokens per min (TPM): Limit 1, Used 1",
            False,
        ),
        (
            "This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: x, "
            "model: claude-sonnet-4-6).",
            False,
        ),
        ("该模型当前访问量过大，请您稍后再试", False),
        ("tokens per minute exceeded", False),
    ],
)
def test_a_limit_is_of_the_account_only_where_the_answer_names_it(message: str, expected: bool) -> None:
    assert is_of_account(decode_error(429, msgspec.json.encode(said(message)))) is expected


@pytest.mark.parametrize(
    ("spelling", "type"),
    [
        ("insufficient_quota", QUOTA),
        ("InsufficientQuota", QUOTA),
        ("INSUFFICIENT-QUOTA", QUOTA),
        ("InvalidEndpointOrModel.NotFound", UNKNOWN),
        ("SetLimitExceeded", QUOTA),
    ],
)
def test_a_name_is_known_whatever_its_case_and_signs(spelling: str, type: ErrorType) -> None:
    assert meaning_of(400, said("no", code=spelling)) is type


def test_no_name_has_two_meanings() -> None:
    assert len(NAMED_TYPES) == sum(len(names.split()) for names in NAMES.values())


@pytest.mark.parametrize(
    "start",
    [
        "模型",
        "请内容输入",
        "model ",
        "invalid api ",
        "quota is ",
        "no accounts ",
        "request too large for ",
        "'",
        "「",
        '{"',
    ],
)
def test_words_that_begin_a_pattern_again_and_again_cost_little_time(start: str) -> None:
    body = msgspec.json.encode(said(start * (50_000 // len(start))))
    began = time.process_time()
    for status in (400, 403, 429, 500):
        decode_error(status, body)
    assert time.process_time() - began < 2

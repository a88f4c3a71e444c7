"""Judge what an error means: by its names, then by its words in English or Chinese, then by its status."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from switchyard.protocols.errors.token_limits import OUTPUT_BUDGET, OVERFLOW
from switchyard.protocols.late_pattern import late
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.retry_hints.values import LONG_WINDOW_SECONDS

STATUS_TYPES: Mapping[int, ErrorType] = {
    400: ErrorType.INVALID_REQUEST,
    401: ErrorType.AUTHENTICATION,
    402: ErrorType.BILLING,
    403: ErrorType.PERMISSION,
    404: ErrorType.NOT_FOUND,
    408: ErrorType.TIMEOUT,
    409: ErrorType.CONFLICT,
    413: ErrorType.TOO_LARGE,
    422: ErrorType.INVALID_REQUEST,
    429: ErrorType.RATE_LIMIT,
    503: ErrorType.OVERLOADED,
    504: ErrorType.TIMEOUT,
    524: ErrorType.TIMEOUT,
    529: ErrorType.OVERLOADED,
}

IMAGE_NAMES = """
    invalid_image invalid_image_format invalid_base64_image invalid_image_url invalid_image_mode
    image_too_large image_too_small image_parse_error image_file_too_large image_file_not_found
    unsupported_image_media_type empty_image_file failed_to_download_image
    """
"""Codes of requests that were refused because of an image."""
NAMES: Mapping[ErrorType, str] = {
    ErrorType.INVALID_REQUEST: f"""
        {IMAGE_NAMES}
        invalid_request_error invalid_request bad_request badrequesterror invalid_argument invalid_prompt
        unsupported_parameter unsupported_value invalid_value 40001 40302 minimax_2013
        access_program_not_enabled data_residency_mismatch
        invalid_audio invalid_audio_data invalid_audio_format audio_too_large missing_audio_sample_rate""",
    ErrorType.CONTEXT_OVERFLOW: """
        context_length_exceeded context_length_exceeded_error context_window_exceeded
        model_context_window_exceeded exceed_context_size_error 40303 minimax_1039 1261""",
    ErrorType.AUTHENTICATION: """
        authentication_error invalid_authentication_error incorrect_api_key_error invalid_api_key unauthorized
        unauthenticated token_expired invalid_token 40101 40102 minimax_1004 minimax_2049""",
    ErrorType.BILLING: """
        billing_error insufficient_balance insufficient_balance_error insufficient_user_quota payment_required
        billing_hard_limit_reached exceeded_current_quota_error pre_consume_token_quota_failed
        token_quota_exhausted arrearage account_overdue_error prepaid_bill_overdue minimax_1008 1113""",
    ErrorType.PERMISSION: "permission_error permission_denied permission_denied_error forbidden 40103",
    ErrorType.NOT_FOUND: "not_found_error not_found",
    ErrorType.MODEL_NOT_FOUND: """
        model_not_found model_not_found_error resource_not_found_error model_not_open
        invalid_endpoint_or_model 40301 1211""",
    ErrorType.TIMEOUT: "timeout_error timeout request_timeout deadline_exceeded minimax_1001 50006",
    ErrorType.CONFLICT: "conflict_error conflict",
    ErrorType.TOO_LARGE: "request_too_large payload_too_large",
    ErrorType.RATE_LIMIT: """
        rate_limit_error rate_limit_exceeded rate_limit_reached_error too_many_requests throttling
        resource_exhausted requests tokens 42901 minimax_1002 1302 1303""",
    ErrorType.QUOTA: """
        insufficient_quota quota_exceeded usage_limit_reached usage_not_included account_quota_exceeded
        enforced_spend_limit_reached set_limit_exceeded allocation_quota 42902 minimax_2056 1304 1308 1310""",
    ErrorType.SERVER: """
        api_error server_error internal_error internal_server_error internal
        minimax_1000 minimax_1013 50001 50002 50003 50004 50005""",
    ErrorType.OVERLOADED: """
        overloaded_error overloaded server_overloaded server_is_overloaded engine_overloaded_error slow_down
        unavailable service_unavailable service_unavailable_error 42903 1305""",
}
"""Types, codes and states as upstreams spell them, whatever their case and signs.

The numbers are those of FastChat (five digits), MiniMax (`base_resp`) and Zhipu (four digits).
"""
FILTER_NAMES = frozenset(
    """
    contentfilter contentpolicyviolation imagecontentpolicyviolation cyberpolicy biopolicy
    misalignmentpolicyviolation inferencehookdenied datainspectionfailed sensitivewordsdetected 1301
    """.split()
)
"""A content filter has refused the request: its words quote the user."""
VAGUE_TYPES = frozenset({ErrorType.INVALID_REQUEST, ErrorType.SERVER, ErrorType.NOT_FOUND})
"""Names so general that the words or the status mean more."""
REFUSED = frozenset({400, 422})
GENERIC_NAMES = frozenset({"apierror"})
"""Names for any error at all: with a status that means a refusal, the others mean that the upstream itself failed."""
EXACT_NAMES = frozenset({"throttling"})
"""Names that the words beside them do not refine: what they call a quota is one of a minute."""
SIGNS = late(r"[^a-z0-9]")


def plain_name(name: str) -> str:
    """A name without case and signs: `InsufficientQuota` and `insufficient_quota` are one."""
    return SIGNS.sub("", name.lower())


NAMED_TYPES = {plain_name(name): type for type, names in NAMES.items() for name in names.split()}


# --- words --------------------------------------------------------------------


def _words(english: str, chinese: str = "") -> re.Pattern[str]:
    """English words stand by themselves: a tool called `get_quota_exceeded` means nothing."""
    own = rf"(?<![A-Za-z0-9_.-])(?:{english})"
    return late(f"{own}|{chinese}" if chinese else own, re.IGNORECASE)


FILTERED = _words(
    r"content[_ -](?:filter|policy|management|moderation|safety)|moderation|flagged (?:as|by)|data_inspection_failed"
    r"|inappropriate content|sensitive (?:content|words?|information)|safety (?:system|policy|filter)",
    r"(?:内容|输入|输出|文本|提示词|图片)[^。，]{0,10}(?:违规|敏感|不合规|违法|审核|不安全)|敏感(?:词|内容|信息)",
)
TOO_LARGE_FOR_LIMIT = _words(r"request too large for .{1,200}?\blimit:? \d")
"""One request exceeds what a minute allows: no wait helps, only a shorter one."""
NO_CHANNEL = _words(
    r"no available channels?\b|no channels? (?:is |are )?available"
    r"|no (?:available )?(?:\w{1,20} )?accounts? support",
    r"无可用(?:的)?渠道|没有可用(?:的)?渠道|可用渠道不存在|无有效(?:的)?上游渠道",
)
"""A relay (one-api, new-api, sub2api) without an upstream for this model."""
UNKNOWN_MODEL = _words(
    r"model\b[^.,;]{0,100}?(?:not found|does ?n[o']t exist|not exist|is unknown|not been activated|been retired)"
    r"|(?:unknown|no such|unsupported|invalid) model\b|not a valid model|not activated the model"
    r"|(?:not|n't|no) (?:have |yet |currently ){0,2}(?:have |include )?(?:permission to use |access to )"
    r"(?:the |this |any )?models?\b"
    r"|n[o']t (?:support|serve) the requested model\b|not (?:yet )?include access to"
    r"|^model: \S+$",
    r"模型[^。，；]{0,40}?(?:不存在|未找到|未开通|已下线)|无权(?:访问|使用)(?:该|此|任何)?模型"
    r"|不支持(?:的|该|此|所选)模型|未知(?:的)?模型",
)
UNAVAILABLE_MODEL = _words(r"model\b[^.,;]{0,100}?not available")
CREDIT = _words(
    r"insufficient (?:\w{1,12} )?(?:balance|credits?|funds)|insufficient_(?:balance|funds|credits?)"
    r"|out of credits?|credit balance is too low|billing hard limit|not enough (?:credits?|balance|funds)"
    r"|requires more credits|overdue (?:balance|payment)|(?:token|user) quota is (?:exhausted|not enough)"
    r"|insufficient (?:user|token) quota|account is in good standing|payment required|please recharge",
    r"余额不足|余额已?用[尽完]|欠费|请[^。，]{0,4}充值|额度",
)
QUOTA = _words(
    r"insufficient[_ ]quota|exceeded (?:your|the) (?:current |[\w-]{1,20} )?(?:usage )?quota"
    r"|(?<!allocated )(?<!token )(?<!user )quota (?:is |has been |was )?(?:exceeded|exhausted)"
    r"|free allocated quota exceeded|out of quota|usage limits?\b|limit exhausted|free-models-per-day"
    r"|(?:daily|weekly|monthly|\d-hour|spend|spending) (?:usage |request |token |spend |cost |rate )?(?:limit|quota)"
    r"|monthly (?:spend|usage|limit)",
    r"配额(?:不足|已?用[尽完]|已?耗尽|超限)|使用上限|额度[^。]{0,20}(?:重置|恢复|刷新)"
    r"|(?:小时|每日|每天|每周|每月|今日|本周|本月)[^。，]{0,10}(?:上限|限额|限制|额度已)",
)
PER_MINUTE = late(r"(?i)per[ _-]?(?:min|minute|second)\b|PerMinute|每分钟|每秒")
BAD_KEY = _words(
    r"(?:invalid|incorrect|missing|expired|revoked|disabled|wrong)(?: [a-z]{1,12}){0,2} "
    r"(?:api[ -]?key|x-api-key|access token|auth token|credentials?)"
    r"|(?:no|no valid|didn't provide an) (?:api[ -]?key|credentials?)"
    r"|(?:invalid|incorrect|expired|revoked) (?:api[ -]?key|token)\b(?! (?:in|at|near|id|count|limit)\b)"
    r"|(?:api[ -]?key|x-api-key|(?:this|access|auth|bearer) token|credentials?) "
    r"(?:is |has |was |are )?(?:been )?(?:invalid|incorrect|not (?:valid|correct|provided)|expired|revoked|disabled"
    r"|missing)\b",
    r"无效的?\s?(?:令牌|密钥|api ?-?key)|未提供令牌|鉴权失败|身份验证失败"
    r"|(?:令牌|密钥|api ?-?key)[^。，]{0,6}(?:无效|过期|失效|错误|不正确|不存在|不可用|禁用)",
)
RATE = _words(
    r"rate[ _-]?limit|too many (?:concurrent )?requests|requests? limit:|concurrency limit|throttl(?:ed|ing)",
    r"请求(?:过于|太)频繁|请求频率|速率限制|限流|请求数限制|并发(?:数|量)?(?:超|过|已达)|频率(?:过快|过高|限制)",
)
OVERLOAD = _words(
    r"(?:currently |temporarily )?overloaded\b|over capacity|at capacity|no available accounts?\b"
    r"|(?:server|service|system|model|engine)s? (?:is |are )?(?:currently )?(?:too )?busy"
    r"|load (?:is )?(?:too high|saturated)|(?:high|heavy) (?:load|demand|traffic)",
    r"负载(?:过高|较高|已?饱和|已满|过大)|(?:服务|系统|模型|服务器|通道|线路|上游|当前)[^。，]{0,6}(?:繁忙|拥挤)|访问量过大|过载",
)
LATER = _words(r"(?:try|retry) again later", r"稍后(?:再|重)试")

ANY_VAGUE = VAGUE_TYPES | {ErrorType.TOO_LARGE}
DENIED = frozenset({ErrorType.AUTHENTICATION, ErrorType.PERMISSION})
BUSY = frozenset({ErrorType.RATE_LIMIT, ErrorType.OVERLOADED})
UNKNOWN = frozenset({ErrorType.MODEL_NOT_FOUND})


class Row(NamedTuple):
    """Words, what they mean, and the types that they refine."""

    words: re.Pattern[str]
    meaning: ErrorType
    refines: frozenset[ErrorType]


ROWS: tuple[Row, ...] = (
    Row(FILTERED, ErrorType.INVALID_REQUEST, ANY_VAGUE | DENIED),
    Row(TOO_LARGE_FOR_LIMIT, ErrorType.CONTEXT_OVERFLOW, ANY_VAGUE | BUSY),
    Row(OVERFLOW, ErrorType.CONTEXT_OVERFLOW, ANY_VAGUE | {ErrorType.PERMISSION}),
    Row(NO_CHANNEL, ErrorType.MODEL_NOT_FOUND, ANY_VAGUE | DENIED | BUSY),
    Row(UNKNOWN_MODEL, ErrorType.MODEL_NOT_FOUND, ANY_VAGUE | DENIED | BUSY),
    Row(UNAVAILABLE_MODEL, ErrorType.MODEL_NOT_FOUND, ANY_VAGUE),
    Row(QUOTA, ErrorType.QUOTA, ANY_VAGUE | DENIED | BUSY),
    Row(CREDIT, ErrorType.BILLING, ANY_VAGUE | DENIED | BUSY),
    Row(BAD_KEY, ErrorType.AUTHENTICATION, ANY_VAGUE | DENIED),
    Row(RATE, ErrorType.RATE_LIMIT, ANY_VAGUE | DENIED),
    Row(OVERLOAD, ErrorType.OVERLOADED, ANY_VAGUE | DENIED | UNKNOWN),
    Row(LATER, ErrorType.OVERLOADED, frozenset({ErrorType.INVALID_REQUEST})),
)
"""The first row that fits decides."""


# --- judgement ----------------------------------------------------------------


class Report(NamedTuple):
    """What an error reports: its codes and types, its words, the field it names, the seconds to wait."""

    names: tuple[str, ...]
    words: str
    param: str = ""
    wait: float | None = None


def type_of(report: Report, status: int) -> ErrorType:
    """The named type if it is a specific one, then the words, then the status, then a vague name."""
    names = [plain for name in report.names for plain in _spellings(name)]
    if FILTER_NAMES.intersection(names):
        return ErrorType.INVALID_REQUEST
    found = {name: NAMED_TYPES[name] for name in names if name in NAMED_TYPES}
    specific = {name: type for name, type in found.items() if type not in VAGUE_TYPES}
    name, known = next(iter(specific.items()), ("", None))
    if known is ErrorType.CONTEXT_OVERFLOW or (known is not None and name in EXACT_NAMES):
        return known
    blames_server = any(type is ErrorType.SERVER for name, type in found.items() if name not in GENERIC_NAMES)
    if known is None and status in REFUSED and blames_server:
        known = ErrorType.SERVER
    vague = next(iter(found.values()), None)
    by_range = ErrorType.INVALID_REQUEST if 400 <= status < 500 else ErrorType.SERVER
    return _refined(known or STATUS_TYPES.get(status) or vague or by_range, report)


DOTTED = late(r"([a-z]+)(?:\.[a-z]+)+", re.IGNORECASE)


def _spellings(name: str) -> tuple[str, ...]:
    """Aliyun and Volcengine put the special case behind the general one: `Throttling.RateQuota`."""
    general = DOTTED.fullmatch(name)
    return (plain_name(name), general[1].lower()) if general else (plain_name(name),)


def _refined(known: ErrorType, report: Report) -> ErrorType:
    """What the words add: the distinctions that many upstreams make only there."""
    if known is ErrorType.INVALID_REQUEST and OUTPUT_BUDGET.search(report.words):
        return known
    words, is_about_field = unquoted(report.words), _is_about_field(report.words, report.param)
    for row in ROWS:
        is_overflow = row.meaning is ErrorType.CONTEXT_OVERFLOW
        if known not in row.refines or (is_about_field and not is_overflow):
            continue
        if row.words.search(report.words if is_overflow else words) and not _is_rate_limit(row, report):
            return row.meaning
    return known


def _is_rate_limit(row: Row, report: Report) -> bool:
    """What is called a quota, but is one of a minute, or ends soon."""
    if row.meaning is ErrorType.QUOTA and report.wait is not None and report.wait < LONG_WINDOW_SECONDS:
        return True
    return row.meaning in (ErrorType.QUOTA, ErrorType.BILLING) and PER_MINUTE.search(report.words) is not None


FIELDS = r"(?:messages|tools|tool_choice|system|input|instructions|prompt|contents|metadata)"
FIELD = late(rf"{FIELDS}(?:[.\[]|$)")
PATH = late(rf"{FIELDS}[.\[]\w")


def quotes_request(words: str, param: str) -> bool:
    """Whether an error is about the content of the request: what it quotes means nothing for the upstream."""
    return _is_about_field(words, param) or FILTERED.search(words) is not None


def _is_about_field(words: str, param: str) -> bool:
    """As in `messages.1.content: ...`."""
    return FIELD.match(param) is not None or PATH.match(words) is not None


# --- quotes -------------------------------------------------------------------

QUOTED = late(
    r"\"[^\"]{1,300}\"|`[^`]{1,300}`|(?<!\w)'[^'\n]{1,300}'(?!\w)"
    r"|“[^”]{1,300}”|‘[^’]{1,300}’|「[^」]{1,300}」|『[^』]{1,300}』|https?://\S{1,300}"
)
INSIDE_OUT = late(r"\{\s{0,9}['\"]")
"""The beginning of an object in the text: quotes hold the words themselves."""


def unquoted(words: str) -> str:
    """The words without quotations and addresses: names and what the user wrote mean nothing for the upstream."""
    if INSIDE_OUT.search(words):
        return words
    left = QUOTED.sub(" ", words)
    return left if re.search(r"\w", left) else words


# --- scope --------------------------------------------------------------------

ACCOUNT = _words(
    r"(?:account|organi[sz]ation|workspace|(?:api )?key|quota)(?:'?s)?\b",
    r"账户|账号|组织|令牌|密钥|额度|配额",
)
MODEL = _words(r"model\b|for [\w./:-]{1,100} in organization", r"模型")


def lacks_channel(error: WireError) -> bool:
    """Whether a relay has no channel for the model now: it may have the model all the same."""
    return NO_CHANNEL.search(unquoted(error.message)) is not None


def is_of_account(error: WireError) -> bool:
    """Whether a limit or an overload concerns the whole account and not only the requested model."""
    words = unquoted(error.message)
    return ACCOUNT.search(words) is not None and MODEL.search(words) is None

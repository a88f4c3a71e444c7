from typing import Any

import msgspec
import pytest

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.health import Charge
from switchyard.routing.verdict import charge_for, judge
from switchyard.settings import Failover, TextRule

TYPES = {
    400: ErrorType.INVALID_REQUEST,
    401: ErrorType.AUTHENTICATION,
    402: ErrorType.BILLING,
    403: ErrorType.PERMISSION,
    404: ErrorType.NOT_FOUND,
    413: ErrorType.TOO_LARGE,
    422: ErrorType.INVALID_REQUEST,
    429: ErrorType.RATE_LIMIT,
    503: ErrorType.OVERLOADED,
    529: ErrorType.OVERLOADED,
}


def reported(status: int, kind: ErrorType | None = None, retry_after: float | None = None) -> Failure:
    found = kind or TYPES.get(status, ErrorType.SERVER)
    return Failure(FailureKind.STATUS, WireError(found, "said so", status, retry_after=retry_after))


@pytest.mark.parametrize(
    ("failure", "action", "weight", "model_only"),
    [
        (reported(400), "return", "none", False),
        (reported(413), "return", "none", False),
        (reported(422), "return", "none", False),
        (reported(400, ErrorType.CONTEXT_OVERFLOW), "switch", "none", False),
        (reported(400, ErrorType.QUOTA), "switch", "cooldown", False),
        (reported(400, ErrorType.MODEL_NOT_FOUND), "switch", "none", False),
        (reported(401), "switch", "cooldown", False),
        (reported(402), "switch", "cooldown", False),
        (reported(403), "switch", "cooldown", False),
        (reported(404), "switch", "error", False),
        (reported(404, ErrorType.MODEL_NOT_FOUND), "switch", "none", False),
        (reported(408), "switch", "error", False),
        (reported(409), "switch", "error", False),
        (reported(429), "switch", "cooldown", True),
        (reported(500), "switch", "error", False),
        (reported(502), "switch", "error", False),
        (reported(503), "switch", "error", True),
        (reported(529), "switch", "error", True),
        (reported(599), "switch", "error", False),
        (reported(418), "switch", "error", False),
    ],
)
def test_each_status_has_its_action_and_its_price(
    failure: Failure, action: str, weight: str, model_only: bool
) -> None:
    verdict = judge(failure, Failover(), 0)
    assert (verdict.action, verdict.charge.weight, verdict.charge.model_only) == (action, weight, model_only)


@pytest.mark.parametrize(
    "kind", ["connect", "connect_timeout", "read", "first_byte_timeout", "idle_timeout", "protocol"]
)
def test_network_errors_switch_and_count(kind: str) -> None:
    failure = Failure(FailureKind(kind), WireError(ErrorType.SERVER, "broke", 502))
    verdict = judge(failure, Failover(), 0)
    assert (verdict.action, verdict.charge.weight) == ("switch", "error")
    asked = judge(failure, Failover(on_error={kind: "rescue"}), 0)
    assert asked.action == "rescue" and asked.charge.rescues
    assert judge(failure, Failover(on_error={"default": "return"}), 0).action == "return"


@pytest.mark.parametrize(
    ("rules", "status", "action"),
    [
        ({"429": "return"}, 429, "return"),
        ({"5xx": "rescue"}, 529, "rescue"),
        ({"500": "return", "5xx": "rescue"}, 500, "return"),
        ({"default": "rescue"}, 418, "rescue"),
        ({"default": "rescue"}, 400, "return"),
        ({"400": "switch"}, 400, "switch"),
    ],
)
def test_the_file_may_set_an_action_for_a_status_a_class_or_all_others(
    rules: Any, status: int, action: str
) -> None:
    assert judge(reported(status), Failover(on_status=rules), 0).action == action


def test_a_retry_waits_a_short_hint_and_gives_up_after_two() -> None:
    rules = Failover(on_status={"503": "retry"})
    first, second, third = (judge(reported(503), rules, retries) for retries in (0, 1, 2))
    assert (first.action, first.wait_seconds, first.charge.weight) == ("retry", 0.5, "none")
    assert (second.action, second.wait_seconds) == ("retry", 2.0)
    assert (third.action, third.charge.weight) == ("switch", "error")
    assert judge(reported(503, retry_after=3.0), rules, 0).wait_seconds == 3.0
    assert judge(reported(503, retry_after=60.0), rules, 0).action == "switch"


def test_a_request_that_is_not_expressible_goes_to_the_next_upstream_at_no_cost() -> None:
    failure = Failure(FailureKind.REFUSED_REQUEST, WireError(ErrorType.INVALID_REQUEST, "no PDFs", 400))
    verdict = judge(failure, Failover(), 0)
    assert (verdict.action, verdict.charge.weight) == ("switch", "none")


# --- by what the answer means ----------------------------------------------------

NOTHING = Charge("none")
ERROR = Charge("error")
KEY = Charge("cooldown", full=True)
QUOTA = Charge("cooldown", full=True, is_reset=True)
LIMITED = Charge("cooldown", model_only=True)
LIMITED_ACCOUNT = Charge("cooldown")
BUSY = Charge("error", model_only=True)
BUSY_ACCOUNT = Charge("error")
IN_20_S = Charge("cooldown", model_only=True, retry_after=20.0)
IN_2_H = Charge("cooldown", full=True, is_reset=True, retry_after=7200.0)
NAMES_ACCOUNT = "This request would exceed your account's rate limit. Please try again later."


def said(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


MEANINGS: list[tuple[int, object, ErrorType, str, Charge]] = [
    # overload
    (400, said("当前模型负载过高，请稍后重试"), ErrorType.OVERLOADED, "switch", BUSY),
    (422, said("系统繁忙，请稍后再试"), ErrorType.OVERLOADED, "switch", BUSY),
    (500, said("服务繁忙"), ErrorType.OVERLOADED, "switch", BUSY),
    (503, said("busy"), ErrorType.OVERLOADED, "switch", BUSY),
    (529, said("Overloaded", type="overloaded_error"), ErrorType.OVERLOADED, "switch", BUSY),
    (529, said("Your account is sending too much"), ErrorType.OVERLOADED, "switch", BUSY_ACCOUNT),
    (400, said("The server is overloaded"), ErrorType.OVERLOADED, "switch", BUSY),
    (413, said("server busy"), ErrorType.OVERLOADED, "switch", BUSY),
    (429, said("no", type="engine_overloaded_error"), ErrorType.OVERLOADED, "switch", LIMITED),
    # rate limits
    (429, said("Too many requests"), ErrorType.RATE_LIMIT, "switch", LIMITED),
    (429, said("Too many requests, try again in 20s"), ErrorType.RATE_LIMIT, "switch", IN_20_S),
    (429, said(NAMES_ACCOUNT), ErrorType.RATE_LIMIT, "switch", LIMITED_ACCOUNT),
    (429, said("您的账户已达到速率限制"), ErrorType.RATE_LIMIT, "switch", LIMITED_ACCOUNT),
    (400, said("请求过于频繁，请在20秒后重试"), ErrorType.RATE_LIMIT, "switch", IN_20_S),
    (422, said("Rate limit exceeded"), ErrorType.RATE_LIMIT, "switch", LIMITED),
    (403, said("You have exceeded a secondary rate limit"), ErrorType.RATE_LIMIT, "switch", LIMITED),
    # keys
    (401, said("no"), ErrorType.AUTHENTICATION, "switch", KEY),
    (403, said("no"), ErrorType.PERMISSION, "switch", KEY),
    (400, said("API key not valid. Please pass a valid API key."), ErrorType.AUTHENTICATION, "switch", KEY),
    (400, said("无效的令牌"), ErrorType.AUTHENTICATION, "switch", KEY),
    (403, said("令牌已过期"), ErrorType.AUTHENTICATION, "switch", KEY),
    (422, said("API key 无效"), ErrorType.AUTHENTICATION, "switch", KEY),
    (500, said("Invalid API key provided"), ErrorType.AUTHENTICATION, "switch", KEY),
    (400, said("no", type="permission_denied"), ErrorType.PERMISSION, "switch", KEY),
    # credit and quota
    (402, said("no"), ErrorType.BILLING, "switch", QUOTA),
    (400, said("余额不足"), ErrorType.BILLING, "switch", QUOTA),
    (403, said("预扣费额度失败, 用户剩余额度: ¥0.05"), ErrorType.BILLING, "switch", QUOTA),
    (401, said("该令牌额度已用尽"), ErrorType.BILLING, "switch", QUOTA),
    (429, said("insufficient balance"), ErrorType.BILLING, "switch", QUOTA),
    (400, said("Your credit balance is too low"), ErrorType.BILLING, "switch", QUOTA),
    (500, said("insufficient balance"), ErrorType.BILLING, "switch", QUOTA),
    (429, said("no", type="insufficient_quota"), ErrorType.QUOTA, "switch", QUOTA),
    (429, said("no", type="usage_limit_reached", resets_in_seconds=7200), ErrorType.QUOTA, "switch", IN_2_H),
    (400, said("usage limit reached, resets in 2 hours"), ErrorType.QUOTA, "switch", IN_2_H),
    (422, said("daily limit exceeded"), ErrorType.QUOTA, "switch", QUOTA),
    (403, said("本月配额已用完"), ErrorType.QUOTA, "switch", QUOTA),
    # models
    (404, said("no", code="model_not_found"), ErrorType.MODEL_NOT_FOUND, "switch", NOTHING),
    (400, said("模型不存在"), ErrorType.MODEL_NOT_FOUND, "switch", NOTHING),
    (422, said("Invalid model: gpt-9"), ErrorType.MODEL_NOT_FOUND, "switch", NOTHING),
    (
        403,
        said("Project `x` does not have access to model `y`"),
        ErrorType.MODEL_NOT_FOUND,
        "switch",
        NOTHING,
    ),
    (503, said("分组 default 下模型 gpt-5 无可用渠道"), ErrorType.MODEL_NOT_FOUND, "switch", NOTHING),
    (503, said("No available channel for model x"), ErrorType.MODEL_NOT_FOUND, "switch", NOTHING),
    (500, said("当前分组下无可用渠道"), ErrorType.MODEL_NOT_FOUND, "switch", NOTHING),
    # windows
    (400, said("prompt is too long: 9 tokens > 5 maximum"), ErrorType.CONTEXT_OVERFLOW, "switch", NOTHING),
    (413, said("prompt is too long"), ErrorType.CONTEXT_OVERFLOW, "switch", NOTHING),
    (422, said("no", code="context_length_exceeded"), ErrorType.CONTEXT_OVERFLOW, "switch", NOTHING),
    (500, said("Your input exceeds the context window"), ErrorType.CONTEXT_OVERFLOW, "switch", NOTHING),
    # the upstream's own failures
    (400, said("no", type="server_error"), ErrorType.SERVER, "switch", ERROR),
    (422, said("no", code="internal_error"), ErrorType.SERVER, "switch", ERROR),
    (400, {"object": "error", "message": "CUDA", "code": 50002}, ErrorType.SERVER, "switch", ERROR),
    (400, said("no", type="api_error"), ErrorType.INVALID_REQUEST, "return", NOTHING),
    (500, said("boom"), ErrorType.SERVER, "switch", ERROR),
    (501, said("boom"), ErrorType.SERVER, "switch", ERROR),
    (502, "<html><title>502 Bad Gateway</title></html>", ErrorType.SERVER, "switch", ERROR),
    (504, "", ErrorType.TIMEOUT, "switch", ERROR),
    (408, said("no"), ErrorType.TIMEOUT, "switch", ERROR),
    (400, said("no", code="deadline_exceeded"), ErrorType.TIMEOUT, "switch", ERROR),
    (409, said("no"), ErrorType.CONFLICT, "switch", ERROR),
    (404, said("Not Found"), ErrorType.NOT_FOUND, "switch", ERROR),
    # the client's
    (400, said("messages: at least one message is required"), ErrorType.INVALID_REQUEST, "return", NOTHING),
    (413, said("no"), ErrorType.TOO_LARGE, "return", NOTHING),
    (422, {"detail": [{"loc": ["body", "x"], "msg": "no"}]}, ErrorType.INVALID_REQUEST, "return", NOTHING),
    (400, said("Blocked by content filter: 余额不足"), ErrorType.INVALID_REQUEST, "return", NOTHING),
    (400, said("输入内容违规：当前负载过高"), ErrorType.INVALID_REQUEST, "return", NOTHING),
    (400, said("Tool 'quota exceeded' is not declared"), ErrorType.INVALID_REQUEST, "return", NOTHING),
    (400, said("tools.0.name: get_quota exceeded"), ErrorType.INVALID_REQUEST, "return", NOTHING),
]


def failure_of(status: int, body: object) -> Failure:
    content = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return Failure(FailureKind.STATUS, decode_error(status, content))


@pytest.mark.parametrize(("status", "body", "type", "action", "charge"), MEANINGS)
def test_an_error_is_judged_by_what_it_means(
    status: int, body: object, type: ErrorType, action: str, charge: Charge
) -> None:
    failure = failure_of(status, body)
    verdict = judge(failure, Failover(), 0)
    assert (failure.error.type, verdict.action, verdict.charge) == (type, action, charge)
    assert verdict.needs_larger_window is (type is ErrorType.CONTEXT_OVERFLOW)


def test_every_status_of_the_defaults_is_charged_by_its_type() -> None:
    """A type without a row is an ordinary error; only errors of the request itself cost nothing."""
    weights = {type: charge_for(reported(500, type)).weight for type in ErrorType}
    assert {type for type, weight in weights.items() if weight == "error"} == {
        ErrorType.NOT_FOUND,
        ErrorType.TIMEOUT,
        ErrorType.CONFLICT,
        ErrorType.SERVER,
        ErrorType.OVERLOADED,
    }


BUSY_400 = failure_of(400, said("当前模型负载过高"))


@pytest.mark.parametrize(
    ("rules", "action"),
    [
        ({}, "switch"),
        ({"on_status": {"400": "return"}}, "return"),
        ({"on_status": {"4xx": "rescue"}}, "rescue"),
        ({"on_status": {"default": "return"}}, "switch"),
        ({"on_text": (TextRule(match="负载过高", action="rescue"),)}, "rescue"),
        (
            {
                "on_status": {"400": "return"},
                "on_text": (
                    TextRule(match="no such text", action="return"),
                    TextRule(match="负载", action="rescue"),
                    TextRule(match="当前", action="return"),
                ),
            },
            "rescue",
        ),
    ],
)
def test_the_users_rules_have_precedence_and_those_for_the_text_come_first(
    rules: dict[str, Any], action: str
) -> None:
    assert judge(BUSY_400, Failover(**rules), 0).action == action


@pytest.mark.parametrize("text", ["said so", "SAID", " So"])
def test_a_text_is_matched_without_regard_to_case(text: str) -> None:
    rules = Failover(on_text=(TextRule(match=text, action="retry"),))
    assert judge(reported(400), rules, 0).action == "retry"


def test_a_rule_for_a_text_is_for_what_an_upstream_returned() -> None:
    rules = Failover(on_text=(TextRule(match="no", action="return"),))
    for kind in (FailureKind.REFUSED_REQUEST, FailureKind.CONNECT):
        failure = Failure(kind, WireError(ErrorType.SERVER, "no", 400))
        assert judge(failure, rules, 0).action == "switch"

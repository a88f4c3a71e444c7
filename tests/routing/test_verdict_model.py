"""What follows an error: action, cooldown, scope and hold, against a small model written from docs/failures.md."""

import json
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.neutral import ErrorType
from switchyard.routing.hold import CRASH_TRIES, prospect_of
from switchyard.routing.verdict import judge
from switchyard.settings import Action, Failover, TextRule
from tests.bed.examples import modelled_in_part


class Row(NamedTuple):
    """A row of the table "Causes and consequences"."""

    returns: bool = False
    cools: str = "threshold"
    scope: str = "upstream"
    held: str = "no"


TABLE = {
    "rate_limit": Row(cools="at once", scope="model", held="yes"),
    "overloaded": Row(scope="model", held="yes"),
    "quota": Row(cools="at once", held="with a reset"),
    "billing": Row(cools="at once"),
    "authentication": Row(cools="at once"),
    "permission": Row(cools="at once"),
    "server": Row(held="yes"),
    "timeout": Row(held="yes"),
    "conflict": Row(),
    "not_found": Row(),
    "model_not_found": Row(cools="none"),
    "context_overflow": Row(cools="none"),
    "invalid_request": Row(returns=True, cools="none"),
    "too_large": Row(returns=True, cools="none"),
}
STATUSES = {
    "rate_limit": [429],
    "overloaded": [529, 503],
    "billing": [402],
    "authentication": [401],
    "permission": [403],
    "server": [500, 502, 501, 520],
    "timeout": [408, 504],
    "conflict": [409],
    "not_found": [404],
    "invalid_request": [400, 422, 425],
    "too_large": [413],
}
"""what a status means by itself"""
CODES = {
    "rate_limit": ["rate_limit_error", "rate_limit_exceeded"],
    "overloaded": ["overloaded_error"],
    "quota": ["insufficient_quota", "usage_limit_reached"],
    "billing": ["billing_error"],
    "authentication": ["authentication_error", "invalid_api_key"],
    "permission": ["permission_error"],
    "timeout": ["timeout_error"],
    "conflict": ["conflict_error"],
    "model_not_found": ["model_not_found"],
    "context_overflow": ["context_length_exceeded"],
    "too_large": ["request_too_large"],
}
GENERAL = {"invalid_request": "invalid_request_error", "server": "api_error", "not_found": "not_found_error"}
WITHOUT_WAIT = ("invalid_request", "context_overflow", "too_large", "not_found", "model_not_found")
OF_SERVER = ("server_error", "internal_error")
"""count beside a 400 or 422, too"""
SAYS_LITTLE = (500, 501, 502, 520)
"""statuses beside which general names count"""
TEXTS = {
    "overloaded": ["当前负载过高", "服务繁忙"],
    "billing": ["余额不足", "预扣费额度失败"],
    "authentication": ["无效的令牌", "令牌已过期"],
    "model_not_found": ["无可用渠道", "no available channel"],
    "context_overflow": ["prompt is too long"],
}
OF_ACCOUNT = ["for your account", "in this organization", "of the workspace", "for this key", "by your quota"]


class Answer(NamedTuple):
    """An error as an upstream sends it; at most one of `code` and `text` says more than the status."""

    status: int
    code: str = ""
    text: str = ""
    about: str = ""
    wait: int | None = None

    @property
    def body(self) -> bytes:
        error = {"message": f"Sorry. {self.text} {self.about}".strip(), "code": self.code}
        more = {} if self.wait is None else {"retry_after": self.wait}
        return json.dumps({"error": error | more}).encode()

    @property
    def requested_wait(self) -> int | None:
        """Errors about the request, the model or the path name no time to wait for."""
        return None if self.meaning in WITHOUT_WAIT else self.wait

    @property
    def names_account(self) -> bool:
        return bool(self.about) or "令牌" in self.text

    @property
    def meaning(self) -> str:
        """By its type or code, then by its text, then by its status; general names count last."""
        for meaning, codes in CODES.items():
            if self.code in codes:
                return meaning
        for meaning, texts in TEXTS.items():
            if self.text in texts and is_decided_by(self.text, self.status):
                return meaning
        if self.code in OF_SERVER and self.status in (*SAYS_LITTLE, 400, 422):
            return "server"
        for meaning, code in GENERAL.items():
            if code == self.code and self.status in SAYS_LITTLE:
                return meaning
        return next(meaning for meaning, statuses in STATUSES.items() if self.status in statuses)


def is_decided_by(text: str, status: int) -> bool:
    """A 402, 408, 409 or 504 stays what it is; a 429, 503 or 529 is refined in a few ways only."""
    if status in (402, 408, 409, 504):
        return False
    return status not in (429, 503, 529) or text in TEXTS["billing"] + TEXTS["model_not_found"]


ALL_STATUSES = [status for found in STATUSES.values() for status in found]
ALL_CODES = [*GENERAL.values(), *OF_SERVER, "", *(code for found in CODES.values() for code in found)]
ALL_TEXTS = [text for found in TEXTS.values() for text in found]
WITH_TEXTS = [400, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529]
WAITS = (None, 3, 40)
ANSWERS = [
    *(
        Answer(status, code, wait=wait)
        for status in ALL_STATUSES
        for code in (ALL_CODES if status != 425 else [""])
        for wait in WAITS
    ),
    *(Answer(status, text=text) for status in WITH_TEXTS for text in ALL_TEXTS),
    *(
        Answer(status, about=about, wait=wait)
        for status in (429, 503, 529)
        for about in OF_ACCOUNT
        for wait in WAITS
    ),
]
"""every status, code and text that the page names"""
ACTIONS: st.SearchStrategy[Action] = st.sampled_from(["switch", "retry", "rescue", "return"])
RULES = st.builds(
    Failover,
    on_text=st.lists(
        st.builds(
            TextRule,
            match=st.sampled_from(["SORRY", "sorry. ", "令牌", "account", "nothing of this"]),
            action=ACTIONS,
        ),
        max_size=3,
    ).map(tuple),
    on_status=st.dictionaries(
        st.sampled_from(["400", "401", "429", "503", "4xx", "5xx", "default"]), ACTIONS, max_size=3
    ),
)


@cache
def failure_of(answer: Answer) -> Failure:
    return Failure(FailureKind.STATUS, decode_error(answer.status, answer.body))


def action_of(answer: Answer, rules: Failover) -> str:
    """The rules for the text, the entry for the status, the one for its class, then the meaning, then the default."""
    message = f"Sorry. {answer.text} {answer.about}".strip().lower()
    for rule in rules.on_text:
        if rule.match.lower() in message:
            return rule.action
    for key in (str(answer.status), f"{answer.status // 100}xx"):
        if key in rules.on_status:
            return rules.on_status[key]
    if answer.status in (400, 413, 422):
        return "return" if TABLE[answer.meaning].returns else "switch"
    if answer.meaning in ("quota", "billing", "model_not_found", "context_overflow"):
        return "switch"
    return rules.on_status.get("default", "switch")


@given(RULES)
@modelled_in_part
def test_the_action_is_what_the_page_on_failures_says(rules: Failover) -> None:
    for answer in ANSWERS:
        failure, expected = failure_of(answer), action_of(answer, rules)
        if expected == "retry" and (answer.requested_wait or 0) > 5:
            expected = "switch"
        assert judge(failure, rules, 0).action == expected, answer
        assert judge(failure, rules, 2).action == ("switch" if expected == "retry" else expected), answer


@pytest.mark.parametrize("status", ALL_STATUSES)
def test_the_meaning_and_the_cooldown_are_what_the_page_on_failures_says(status: int) -> None:
    for answer in (one for one in ANSWERS if one.status == status):
        failure = failure_of(answer)
        charge = judge(failure, Failover(), 0).charge

        row = TABLE[answer.meaning]
        cools_at_once = row.cools == "at once" or (status == 429 and row.cools != "none")
        expected = {"none": "none", "threshold": "error", "at once": "cooldown"}[row.cools]
        assert failure.error.type is ErrorType(answer.meaning), answer
        assert charge.weight == ("cooldown" if cools_at_once else expected), answer
        if row.cools != "none":
            assert charge.model_only is (row.scope == "model" and not answer.names_account), answer
            assert charge.retry_after == answer.requested_wait, answer


@pytest.mark.parametrize("status", ALL_STATUSES)
def test_a_request_is_held_for_what_the_page_on_failures_says(status: int) -> None:
    for answer in (one for one in ANSWERS if one.status == status):
        prospect = prospect_of(failure_of(answer))

        held = TABLE[answer.meaning].held
        is_held = held == "yes" or (held == "with a reset" and answer.wait is not None) or status == 425
        assert prospect.passes is is_held, answer
        crashed = answer.meaning == "server" and status in (400, 422, 500, 501)
        assert not is_held or (prospect.tries == CRASH_TRIES) is crashed, answer

"""Simulated upstreams, honest and not: every trick is named within 20 requests, and no honest upstream ever is."""

import random
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from switchyard.audit.findings import Finding
from switchyard.audit.memory import Facts
from tests.audit.simulation import TOKENIZERS, Upstream, facts

CLAUDE, GPT, QWEN = TOKENIZERS
WITHIN = 20


def honest(seed: int, model: str) -> list[Upstream]:
    """Three of one model, each with its own system prompt, speed, cache and spelling of the model."""
    chance = random.Random(seed)
    return [
        Upstream(
            f"{model} {number}",
            model,
            added_tokens=chance.choice((0, 0, 600, 2500, 6000)),
            pace=chance.uniform(20, 120),
            first_token=chance.uniform(0.5, 4),
            lost_by_chance=chance.uniform(0, 0.1),
            reports_writes=chance.random() < 0.5,
            alias=chance.choice(("", f"{model}-20250929", f"vendor/{model}")),
        )
        for number in range(3)
    ]


def found_in(
    seed: int,
    upstreams: list[Upstream],
    each: int,
    watched: set[str],
    every: int = 1,
) -> Iterator[tuple[Upstream, Finding]]:
    """The findings after each request of the watched upstreams."""
    known, hosts = Facts(), {one.name: one.name for one in upstreams}
    for upstream, fact in facts(seed, upstreams, each):
        known.add(fact)
        if upstream.name in watched and upstream.served % every == 0:
            for finding in known.examine((upstream.name, upstream.model), hosts).findings:
                yield upstream, finding


@pytest.mark.parametrize(("model", "seed"), [(CLAUDE, 1), (GPT, 2), (QWEN, 3)])
def test_honest_upstreams_are_never_named_in_a_thousand_requests(model: str, seed: int) -> None:
    upstreams = honest(seed, model)
    found = [
        (upstream.name, upstream.served, finding.text)
        for upstream, finding in found_in(seed, upstreams, 1000, {one.name for one in upstreams}, every=10)
    ]
    assert found == []


TRICKS = {
    "swapped": "model",
    "inflated 1.15": "tokens",
    "inflated 1.3": "tokens",
    "inflated 2": "tokens",
    "never read": "cache",
    "broken prefix": "cache",
    "slow": "speed",
}


@pytest.mark.parametrize("model", [CLAUDE, GPT, QWEN])
@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_named_within_20_requests_after_it_begins(trick: str, model: str) -> None:
    seed = 100 * len(trick) + len(model)
    begins = 340 if trick == "slow" else 80
    cheat = Upstream(
        "cheat", model, trick=trick, trick_from=begins, added_tokens=random.Random(seed).choice((0, 3000))
    )
    found: dict[str, int] = {}
    for upstream, finding in found_in(seed, [*honest(seed, model), cheat], begins + WITHIN, {"cheat"}):
        found.setdefault(finding.kind, upstream.served - begins)
    assert set(found) == {TRICKS[trick]}
    assert 0 < found[TRICKS[trick]] <= WITHIN


@pytest.mark.parametrize("trick", [trick for trick in TRICKS if trick != "slow"])
def test_a_new_upstream_that_cheats_from_its_first_request_on_is_named_within_20(trick: str) -> None:
    seed = 7 * len(trick)
    cheat = Upstream("cheat", GPT, trick=trick, joins_after=100)
    found = {
        finding.kind: finding.level
        for upstream, finding in found_in(seed, [*honest(seed, GPT), cheat], 125, {"cheat"})
        if upstream.served <= WITHIN
    }
    assert found == {TRICKS[trick]: "confirmed"}


def test_a_cheat_stays_named_and_its_honest_neighbours_are_never() -> None:
    cheat = Upstream("cheat", QWEN, trick="inflated 1.3", trick_from=50)
    upstreams = [*honest(9, QWEN), cheat]
    watched = {one.name for one in upstreams}
    found = [
        (upstream.name, finding.kind) for upstream, finding in found_in(9, upstreams, 1000, watched, every=10)
    ]
    assert set(found) == {("cheat", "tokens")}
    assert len(found) > 85


def test_requests_without_a_conversation_are_not_compared() -> None:
    upstreams = [*honest(22, GPT), Upstream("cheat", GPT, trick="inflated 2", trick_from=60)]
    known, hosts = Facts(), {one.name: one.name for one in upstreams}
    for _, fact in facts(22, upstreams, 120):
        without = replace(fact, conversation="", input_before=None, added_estimated=None, cache_expected=None)
        known.add(without)
    assert known.examine(("cheat", GPT), hosts).findings == ()

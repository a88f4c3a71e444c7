"""Find the rule that applies to a request: the first one whose condition matches."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from switchyard.protocols.facts import BODY_FACTS, Facts
from switchyard.protocols.names import ModelName, ProtocolName, matches
from switchyard.routing.calendar import on_weekday, within_hours
from switchyard.settings import WEEKDAYS, Condition, Patterns, RouteRule

NO_NAMES: frozenset[str] = frozenset()
FLAGS = ("subagent", "background", "compaction", "thinking", "web_search", "images")
HOMES = re.compile(r"(?i)(?:/home/[^/]+|/users/[^/]+|/root|[a-z]:/users/[^/]+)(?=/|\Z)")
"""where home folders are: the client may run on another machine than Switchyard"""


class Ruled(msgspec.Struct, frozen=True):
    """The rule that decided; `number` counts from 1."""

    number: int
    rule: RouteRule

    @property
    def label(self) -> str:
        return self.rule.name.strip() or f"{self.number}"

    @property
    def text(self) -> str:
        return f'rule "{self.label}"' if self.rule.name.strip() else f"rule {self.number}"

    @property
    def affinity(self) -> str:
        """Names the upstreams that the rule selects: it stays the same when rules are moved."""
        return "\0".join((*self.rule.upstreams, self.rule.model))

    def concerns(self, upstream: str) -> bool:
        """True if the model, effort and limit of the rule are for this upstream."""
        return upstream in self.rule.upstreams or not self.rule.upstreams

    def place_of(self, upstream: str) -> int:
        """Its position among the upstreams that the rule names; after them if it is none of them."""
        named = self.rule.upstreams
        return named.index(upstream) if upstream in named else len(named)


def find_rule(
    rules: Sequence[RouteRule],
    protocol: ProtocolName,
    model: str,
    facts: Facts,
    wall: datetime,
    home: str = "",
) -> Ruled | None:
    """A model name that selects an upstream takes precedence over all rules."""
    if not rules or ModelName.read(model).upstream:
        return None
    found = (
        Ruled(number, rule)
        for number, rule in enumerate(rules, start=1)
        if applies(rule.when, protocol, model, facts, wall, home)
    )
    return next(found, None)


def applies(
    when: Condition, protocol: ProtocolName, model: str, facts: Facts, wall: datetime, home: str = ""
) -> bool:
    """True if all that the condition states is so."""
    return (
        all(getattr(when, name) in (None, getattr(facts, name)) for name in FLAGS)
        and _is_among(when.protocol, (protocol,))
        and _is_among(when.effort, (facts.effort,))
        and _is_among(when.client_key, (facts.client_key,))
        and _is_among(when.model, (ModelName.read(model).model,))
        and _is_client(when.client, facts)
        and (not when.project or _is_among(when.project, tuple(_spellings(facts.project, home))))
        and (when.tokens_over is None or facts.tokens > when.tokens_over)
        and (when.tokens_under is None or facts.tokens < when.tokens_under)
        and on_weekday(when.weekdays or WEEKDAYS, wall)
        and within_hours(when.hours, wall)
    )


def wanted_facts(rules: Sequence[RouteRule]) -> frozenset[str]:
    """The facts that the conditions name, of those in the body."""
    if not rules:
        return NO_NAMES
    return frozenset(
        name for name in BODY_FACTS if any(getattr(rule.when, name) not in (None, (), "") for rule in rules)
    )


def token_thresholds(rules: Sequence[RouteRule]) -> list[int]:
    """The numbers of tokens that decide, in no order; none if the length of a prompt does not matter."""
    limits = [limit for rule in rules for limit in (rule.when.tokens_over, rule.when.tokens_under)]
    return [limit for limit in limits if limit is not None]


def _is_client(patterns: Patterns, facts: Facts) -> bool:
    """A program by its name, any other by its user agent."""
    return _is_among(patterns, (facts.program, facts.agent) if facts.program else (facts.agent,))


def _is_among(patterns: Patterns, values: tuple[str, ...]) -> bool:
    """True if nothing is stated, or if one of the values matches."""
    stated = (patterns,) if isinstance(patterns, str) else patterns
    return not stated or any(value and matches(one, value) for one in stated for value in values)


def _spellings(project: str, home: str) -> Iterator[str]:
    """The path with forward slashes, and with ~ for the home folder."""
    path = project.replace("\\", "/")
    yield path
    usual = HOMES.match(path)
    own = home.replace("\\", "/").rstrip("/")
    if usual is not None:
        yield f"~{path[usual.end() :]}"
    if own and f"{path}/".startswith(f"{own}/"):
        yield f"~{path[len(own) :]}"

"""List the models that clients can request, and the context window of each."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from switchyard.protocols.facts import NO_FACTS, Facts
from switchyard.protocols.names import PROTOCOLS, ModelName, ProtocolName, is_glob
from switchyard.routing.families import official_families, unlikely_reason
from switchyard.routing.lineup import ROLE_ORDER, demo_serves, rules_concerning, served_by_rule
from switchyard.routing.rules import Ruled, find_rule
from switchyard.settings import Settings, Upstream

WELL_KNOWN: dict[ProtocolName, tuple[str, ...]] = {
    "messages": ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    "chat": (),
    "responses": ("gpt-5.5",),
}
"""listed for upstreams that accept every model, so that a client has a choice"""
OF_FAMILY = {"claude": WELL_KNOWN["messages"], "gpt": WELL_KNOWN["responses"]}
"""listed for the official hosts of these families, whichever client asks"""
LONG_PROMPT = 1_000_000_000
"""tokens; more than any rule names"""
FIRST = -1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def served_models(settings: Settings, *protocols: ProtocolName, client: Facts = NO_FACTS) -> dict[str, int]:
    """Model name -> context window in tokens (0: unknown) of every name that is routed for these clients.

    `client` states who asks, as far as it is known: rules may depend on it.
    """
    asking = protocols or PROTOCOLS
    pools = [_pool(settings, protocol) for protocol in asking]
    names = dict.fromkeys(_names(settings, asking))
    windows = {name: _window_in(pools, settings, name, client) for name in names}
    return {name: window for name, window in windows.items() if window is not None}


def window_of(
    settings: Settings, model: str, *protocols: ProtocolName, client: Facts = NO_FACTS
) -> int | None:
    """The same for one name, which need not be listed anywhere; None if it is not routed."""
    pools = [_pool(settings, protocol) for protocol in protocols or PROTOCOLS]
    return _window_in(pools, settings, model, client)


def usable_window(
    settings: Settings, protocol: ProtocolName, model: str = "", client: Facts = NO_FACTS
) -> int:
    """The longest prompt that this client can count on; 0 if that is unknown."""
    return window_of(settings, model, protocol, client=client) or 0


def _names(settings: Settings, asking: tuple[ProtocolName, ...]) -> Iterator[str]:
    """The names that may be listed: of the rules, of the entries, and those that clients are known for."""
    for route in settings.routes:
        models = (route.when.model,) if isinstance(route.when.model, str) else route.when.model
        yield from (name for name in models if not is_glob(name))
    for rule in settings.model_rules:
        if not is_glob(rule.source) and not set(rule.clients).isdisjoint(asking):
            yield rule.source
    for upstream in settings.upstreams:
        clients = _clients(settings, upstream, asking)
        if clients and upstream.models:
            yield from (name for name in upstream.models if not is_glob(name))
        elif clients:
            yield from (name for client in clients for name in WELL_KNOWN[client])
            families = official_families(upstream.base_url)
            yield from (name for family in families for name in OF_FAMILY.get(family, ()))


class _Pool(msgspec.Struct, frozen=True):
    """The upstreams that may answer the clients of a protocol, by the models that they list.

    A model is listed by few of many upstreams: only these are looked at.
    """

    protocol: ProtocolName
    upstreams: tuple[Upstream, ...]
    listing: dict[str, set[int]]
    """the positions of those that list this model, in lower case"""
    others: set[int]
    """the positions of those that take models that they do not list by their names"""
    by_name: dict[str, int]

    def taking(self, models: Iterable[str], named: Iterable[str]) -> list[Upstream]:
        """Those that may take one of these models, and those of these names."""
        places = self.others.union(*(self.listing.get(model.lower(), ()) for model in models))
        places.update(self.by_name[name] for name in named if name in self.by_name)
        return [self.upstreams[place] for place in sorted(places)]


def _pool(settings: Settings, protocol: ProtocolName) -> _Pool:
    upstreams = upstreams_for(settings, protocol)
    listing: dict[str, set[int]] = {}
    others = set()
    for place, upstream in enumerate(upstreams):
        if not upstream.models or any(map(is_glob, upstream.models)):
            others.add(place)
        for model in upstream.models:
            listing.setdefault(model.lower(), set()).add(place)
    by_name = {upstream.name: place for place, upstream in enumerate(upstreams)}
    return _Pool(protocol, upstreams, listing, others, by_name)


def _window_in(pools: list[_Pool], settings: Settings, model: str, client: Facts) -> int | None:
    found = [_window(serving) for pool in pools if (serving := _serving(pool, settings, model, client))]
    return _largest(found) if found else None


class _Serving(msgspec.Struct, frozen=True):
    upstream: Upstream
    role: int
    """smaller comes first; that of an upstream which a rule names does not matter"""


def _serving(pool: _Pool, settings: Settings, model: str, client: Facts) -> list[_Serving]:
    """The upstreams that would be asked for this model, at this time or another; not the unlikely ones.

    A long prompt decides, as it goes where it fits; if none takes it, a short one.
    """
    for tokens in (LONG_PROMPT, 0):
        ruled = _rule_for(settings, pool.protocol, model, replace(client, tokens=tokens))
        found = [one for one in _accepting(pool, settings, model, ruled) if not _is_unlikely(one, ruled)]
        if found:
            return [_Serving(upstream, _role(upstream, ruled)) for upstream, _ in found]
    return []


def _rule_for(settings: Settings, protocol: ProtocolName, model: str, client: Facts) -> Ruled | None:
    """The rule for a plain request of this client. The calendar does not change the list."""
    rules = [rule for rule in settings.routes if not (rule.when.weekdays or rule.when.hours)]
    return find_rule(rules, protocol, model, client, EPOCH)


def _accepting(
    pool: _Pool, settings: Settings, model: str, ruled: Ruled | None
) -> list[tuple[Upstream, str]]:
    """The upstreams that take this model, with the name that each is sent."""
    requested = ModelName.read(model)
    rules = rules_concerning(settings.model_rules, requested)
    found = []
    for upstream in _looked_at(pool, settings, requested, ruled):
        is_named = ruled is not None and upstream.name in ruled.rule.upstreams
        if (ruled is not None and ruled.rule.only and not is_named) or not (
            is_named or _is_regular(upstream)
        ):
            continue
        own = ruled if ruled is not None and ruled.concerns(upstream.name) else None
        sent = served_by_rule(settings.model_rules if own else rules, upstream, pool.protocol, requested, own)
        if sent is not None:
            found.append((upstream, sent.model))
    return found


def _looked_at(
    pool: _Pool, settings: Settings, requested: ModelName, ruled: Ruled | None
) -> Sequence[Upstream]:
    """The upstreams that may accept this model, with the name that the client, a model rule or the rule gives it."""
    given = [
        requested,
        *([] if ruled is None or not ruled.rule.model else [ModelName.read(ruled.rule.model)]),
    ]
    if not all(name.model for name in given):
        return pool.upstreams
    models = [model for name in given for model in _spellings(settings, name)]
    return pool.taking(models, () if ruled is None else ruled.rule.upstreams)


def _spellings(settings: Settings, name: ModelName) -> Iterator[str]:
    """The names under which an upstream may be asked for this model."""
    yield name.model
    yield (name.without_thinking() or name).model
    yield from (rule.to for rule in rules_concerning(settings.model_rules, name))


def _is_regular(upstream: Upstream) -> bool:
    """A rescue upstream is asked only after certain failures."""
    return upstream.role != "rescue"


def _is_unlikely(accepting: tuple[Upstream, str], ruled: Ruled | None) -> bool:
    upstream, sent = accepting
    is_named = ruled is not None and upstream.name in ruled.rule.upstreams
    return not is_named and bool(unlikely_reason(upstream, sent))


def _role(upstream: Upstream, ruled: Ruled | None) -> int:
    is_named = ruled is not None and upstream.name in ruled.rule.upstreams
    return FIRST if is_named else ROLE_ORDER[upstream.role]


def _window(serving: list[_Serving]) -> int:
    """The window of those that come first by their role: a prompt goes to the one that it fits."""
    first = min(one.role for one in serving)
    return _largest([one.upstream.context_window for one in serving if one.role == first])


def _largest(windows: list[int]) -> int:
    """0, an unknown window, takes every prompt."""
    return 0 if 0 in windows else max(windows)


def is_served(settings: Settings, protocol: ProtocolName, model: str, client: Facts = NO_FACTS) -> bool:
    """True if an enabled upstream accepts this model from this client, at this time or another."""
    ruled = _rule_for(settings, protocol, model, client)
    return bool(_accepting(_pool(settings, protocol), settings, model, ruled))


def upstreams_for(settings: Settings, protocol: ProtocolName) -> tuple[Upstream, ...]:
    """The enabled upstreams that may answer these clients, at this time or another."""
    return tuple(one for one in settings.upstreams if _clients(settings, one, (protocol,)))


def _clients(
    settings: Settings, upstream: Upstream, asking: tuple[ProtocolName, ...]
) -> tuple[ProtocolName, ...]:
    """The protocols among those given whose clients this upstream may answer."""
    return tuple(
        client
        for client in asking
        if upstream.enabled
        and client in upstream.clients
        and (not upstream.is_demo or demo_serves(settings, client))
    )

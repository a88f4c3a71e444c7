"""List the models that clients can request, and the context window of each."""

from collections.abc import Iterator

from switchyard.protocols.names import PROTOCOLS, ModelName, ProtocolName, is_glob
from switchyard.routing.families import official_families, unlikely_reason
from switchyard.routing.lineup import demo_serves, served_model
from switchyard.settings import Settings, Upstream

WELL_KNOWN: dict[ProtocolName, tuple[str, ...]] = {
    "messages": ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    "chat": (),
    "responses": ("gpt-5.5",),
}
"""listed for upstreams that accept every model, so that a client has a choice"""
OF_FAMILY = {"claude": WELL_KNOWN["messages"], "gpt": WELL_KNOWN["responses"]}
"""listed for the official hosts of these families, whichever client asks"""


def served_models(settings: Settings, *protocols: ProtocolName) -> dict[str, int]:
    """Model name -> context window in tokens (0: unknown) of every name that is routed for these clients.

    The window is the smallest that is known of the upstreams that may answer.
    """
    asking = protocols or PROTOCOLS
    found: dict[str, int] = {}
    for name in dict.fromkeys(_names(settings, asking)):
        serving = [one for client in asking for one in _serving(settings, client, name)]
        if serving:
            found[name] = min((one.context_window for one in serving if one.context_window), default=0)
    return found


def window_of(settings: Settings, model: str, *protocols: ProtocolName) -> int | None:
    """The same for one name, which need not be listed anywhere; None if it is not routed."""
    serving = [one for client in protocols or PROTOCOLS for one in _serving(settings, client, model)]
    windows = (one.context_window for one in serving if one.context_window)
    return min(windows, default=0) if serving else None


def _names(settings: Settings, asking: tuple[ProtocolName, ...]) -> Iterator[str]:
    """The names that may be listed: of the rules, of the entries, and those that clients are known for."""
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


def _serving(settings: Settings, protocol: ProtocolName, model: str) -> Iterator[Upstream]:
    """The upstreams that would be asked for this model, at this time or another; not the unlikely ones."""
    requested = ModelName.read(model)
    for upstream in upstreams_for(settings, protocol):
        sent = served_model(settings.model_rules, upstream, protocol, requested)
        if sent is not None and not unlikely_reason(upstream, sent.model):
            yield upstream


def smallest_window(settings: Settings, protocol: ProtocolName, model: str = "") -> int:
    """The smallest known context window of the upstreams that may answer; 0 if none is known."""
    requested = ModelName.read(model)
    windows = [
        upstream.context_window
        for upstream in settings.upstreams
        if upstream.context_window
        and _clients(settings, upstream, (protocol,))
        and served_model(settings.model_rules, upstream, protocol, requested) is not None
    ]
    return min(windows, default=0)


def is_served(settings: Settings, protocol: ProtocolName, model: str) -> bool:
    """True if an enabled upstream accepts this model from these clients, at this time or another."""
    requested = ModelName.read(model)
    return any(
        _clients(settings, upstream, (protocol,))
        and served_model(settings.model_rules, upstream, protocol, requested) is not None
        for upstream in settings.upstreams
    )


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

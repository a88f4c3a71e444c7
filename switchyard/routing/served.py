"""List the models that clients can request, and the context window of each."""

from switchyard.protocols.names import PROTOCOLS, ModelName, ProtocolName, is_glob
from switchyard.routing.lineup import demo_serves, served_model
from switchyard.settings import Settings, Upstream

DEFAULT_WINDOW = 200_000
WELL_KNOWN: dict[ProtocolName, tuple[str, ...]] = {
    "messages": ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    "chat": (),
    "responses": ("gpt-5.5",),
}
"""listed for upstreams that accept every model, so that a client has a choice"""


def served_models(settings: Settings, protocol: ProtocolName | None = None) -> dict[str, int]:
    """Model name -> context window (tokens) of the names that an enabled upstream serves to these clients."""
    asking = PROTOCOLS if protocol is None else (protocol,)
    serving = [
        (upstream, clients)
        for upstream in settings.upstreams
        if (clients := _clients(settings, upstream, asking))
    ]
    names: dict[str, int] = {}
    for rule in settings.model_rules:
        if not is_glob(rule.source) and not set(rule.clients).isdisjoint(asking):
            for upstream, _ in serving:
                if upstream.model_for(rule.to) is not None:
                    names.setdefault(rule.source, _window(upstream))
    for upstream, clients in serving:
        for name in _names_of(upstream, clients):
            names[name] = min(names.get(name, _window(upstream)), _window(upstream))
    return names


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


def _names_of(upstream: Upstream, clients: tuple[ProtocolName, ...]) -> list[str]:
    listed = [name for name in upstream.models if not is_glob(name)]
    return listed or [name for client in clients for name in WELL_KNOWN[client]]


def _window(upstream: Upstream) -> int:
    return upstream.context_window or DEFAULT_WINDOW

"""Check the upstreams: whether they can be reached, and whether their clocks agree."""

import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import msgspec

from switchyard.doctor.finding import DoctorInputs, Finding
from switchyard.installation import own_command
from switchyard.relay.credentials import unset_variables
from switchyard.relay.proxies import ChosenProxy, choose_proxy
from switchyard.relay.upstream import TlsUnusable, tls_context_of
from switchyard.settings import Tls, Upstream

REACH_SECONDS = 3
MOST_AT_ONCE = 32
CLOCK_TOLERANCE_SECONDS = 120


class Reached(msgspec.Struct, frozen=True):
    """`problem` is "" after a connection; `way` names the proxy, if there is one.

    `clock` is how far this clock is ahead of theirs, if they send a date.
    """

    problem: str = ""
    way: str = ""
    clock: float | None = None


def examine_upstreams(inputs: DoctorInputs) -> list[Finding]:
    """All in parallel, so that one that is down does not delay the others."""
    upstreams = [one for one in inputs.settings.upstreams if one.enabled and not one.is_demo]
    if not upstreams:
        text = "none is configured: the demo model answers"
        return [Finding("warning", "Upstreams", text, "Add one in the dashboard or in the settings file.")]
    addresses = {_address(one): None for one in upstreams}
    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(addresses))) as pool:
        reached = dict(zip(addresses, pool.map(lambda one: reach(*one), addresses), strict=True))
    found = [_reach_finding(one, reached[_address(one)]) for one in upstreams]
    found += [finding for one in upstreams for finding in _key_findings(one, inputs)]
    return found + clock_findings(one.clock for one in reached.values())


def _address(upstream: Upstream) -> tuple[str, str, Tls]:
    return upstream.base_url, upstream.proxy, upstream.tls


def reach(url: str, own_proxy: str, tls: Tls) -> Reached:
    """One connection, and one request without a key; with a proxy, only a connection to the proxy."""
    chosen = choose_proxy(own_proxy, url)
    if chosen.problem:
        return Reached(chosen.problem)
    proxy = chosen.url
    parts = urlsplit(proxy or url)
    try:
        with socket.create_connection((parts.hostname or "", _port(parts)), REACH_SECONDS):
            pass
        return Reached(way=_way(chosen), clock=None if proxy else _clock(parts, tls))
    except TlsUnusable as error:
        return Reached(f"{error}")
    except ssl.SSLError as error:
        return Reached(f"its certificate is not accepted ({error.reason or error})")
    except socket.gaierror:
        return Reached(f"the name {parts.hostname} cannot be resolved")
    except (TimeoutError, ConnectionError) as error:
        why = "no answer" if isinstance(error, TimeoutError) else (error.strerror or "refused")
        return Reached(f"cannot connect to {parts.hostname}:{_port(parts)} ({why})")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Reached(f"cannot be reached ({error})")


def _port(parts: SplitResult) -> int:
    return parts.port or {"https": 443, "socks5": 1080, "socks5h": 1080}.get(parts.scheme, 80)


def _way(chosen: ChosenProxy) -> str:
    if not chosen.url:
        return "can be reached"
    return f"its proxy can be reached{f' ({chosen.source})' if chosen.source else ''}"


def _clock(parts: SplitResult, tls: Tls) -> float | None:
    host, port = parts.hostname or "", _port(parts)
    connection = (
        http.client.HTTPSConnection(host, port, timeout=REACH_SECONDS, context=tls_context_of(tls))
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=REACH_SECONDS)
    )
    try:
        connection.request("HEAD", parts.path or "/")
        date = connection.getresponse().getheader("date")
        return None if date is None else time.time() - parsedate_to_datetime(date).timestamp()
    except ssl.SSLError:
        raise
    except (OSError, http.client.HTTPException, ValueError):
        # it listens, which is enough for this check
        return None
    finally:
        connection.close()


def _reach_finding(upstream: Upstream, reached: Reached) -> Finding:
    if not reached.problem:
        return Finding("ok", upstream.name, reached.way)
    fix = f"Check base_url, network and server; then: {own_command(f'test {_quoted(upstream.name)}')}"
    return Finding("fault", upstream.name, reached.problem, fix)


def _key_findings(upstream: Upstream, inputs: DoctorInputs) -> list[Finding]:
    return [
        Finding(
            "fault",
            one.account,
            f"its key is in the variable {name}, which is not set",
            f"Export {name} where the daemon is started, or write the key into the settings.",
        )
        for one, name in unset_variables(upstream.accounts, os.environ | dict(inputs.environment))
    ]


def clock_findings(differences: Iterable[float | None]) -> list[Finding]:
    """The median of the clock differences, as most upstreams agree on the time."""
    known = sorted(difference for difference in differences if difference is not None)
    if not known:
        return []
    ahead = known[len(known) // 2]
    if abs(ahead) <= CLOCK_TOLERANCE_SECONDS:
        return [Finding("ok", "Clock", "agrees with the upstreams")]
    text = f"is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the upstreams' clocks"
    return [Finding("warning", "Clock", text, "Set it, or turn on the system's time synchronisation.")]


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name

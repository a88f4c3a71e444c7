"""The guard against a small model, written from docs/security.md."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.bed.examples import modelled
from tests.web.test_guard_attacks import FOREIGN_HOSTS, FOREIGN_ORIGINS, PORT, ask, fetched

OWN_HOSTS = [
    f"{name}{port}" for name in ("localhost", "127.0.0.1", "[::1]") for port in ("", f":{PORT}", ":1")
]


class Asked(msgspec.Struct, frozen=True):
    """A request as a browser, a program or an attacker may send it; `None` is a header that is not sent."""

    host: str | None
    origin: str | None
    site: str | None
    mode: str
    destination: str
    path: str
    method: str


def is_served(asked: Asked) -> bool:
    """What the page promises, sentence by sentence."""
    if asked.host not in OWN_HOSTS:
        return False
    if asked.origin is not None and asked.origin != f"http://{asked.host}":
        return False
    if asked.site in (None, "same-origin", "none"):
        return True
    is_link = (asked.mode, asked.destination, asked.method, asked.path) == (
        "navigate",
        "document",
        "GET",
        "/",
    )
    return is_link and asked.site in ("cross-site", "same-site")


REQUESTS = st.builds(
    Asked,
    host=st.sampled_from([None, *FOREIGN_HOSTS, *OWN_HOSTS * 6]),
    origin=st.sampled_from([None, *FOREIGN_ORIGINS, *(f"http://{host}" for host in OWN_HOSTS)] + [None] * 20),
    site=st.sampled_from([None, "same-origin", "none", "cross-site", "same-site"]),
    mode=st.sampled_from(["navigate", "cors", "no-cors"]),
    destination=st.sampled_from(["document", "iframe", "empty", "script"]),
    path=st.sampled_from(["/", "/api/configs", "/v1/messages", "/api/events"]),
    method=st.sampled_from(["GET", "POST"]),
)


def headers_of(asked: Asked) -> list[tuple[str, str]]:
    headers = [("content-type", "application/json")]
    headers += [("host", asked.host)] if asked.host is not None else []
    headers += [("origin", asked.origin)] if asked.origin is not None else []
    headers += fetched(asked.site, asked.mode, asked.destination) if asked.site is not None else []
    return headers


@given(REQUESTS)
@modelled
def test_the_guard_serves_what_the_page_on_security_says_and_nothing_else(asked: Asked) -> None:
    reply = ask(*headers_of(asked), method=asked.method, path=asked.path)

    assert (reply.status == 200) == is_served(asked), reply.status

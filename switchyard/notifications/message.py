"""An event as JSON, in the form that the address expects, and as variables for a command."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from switchyard.notifications.events import Event

Json = dict[str, Any]
SLACK = ("hooks.slack.com", "hooks.slack-gov.com")


class Post(msgspec.Struct, frozen=True):
    url: str
    body: bytes


def post_of(url: str, event: Event, at: float) -> Post:
    """The request for this address. ntfy takes JSON at its root, with the topic in it; Slack takes a text only."""
    parts = urlsplit(url)
    host, topic = parts.hostname or "", parts.path.strip("/")
    if host in SLACK:
        return Post(url, msgspec.json.encode({"text": f"Switchyard: {event.text}"}))
    if host.startswith("ntfy.") and topic:
        root = urlunsplit((parts.scheme, parts.netloc, "/", parts.query, ""))
        body = {"topic": topic, "title": title_of(event), "message": event.text, "tags": [event.kind]}
        return Post(root, msgspec.json.encode(body))
    return Post(url, json_of(event, at))


def json_of(event: Event, at: float) -> bytes:
    """Everything, for webhooks and commands; `text` is what Mattermost, Rocket.Chat and others show."""
    body: Json = {
        "event": event.kind,
        "upstream": event.upstream,
        "text": event.text,
        "title": title_of(event),
        "at": round(at, 3),
    }
    return msgspec.json.encode(body)


def variables_of(event: Event) -> dict[str, str]:
    """What a command finds in its environment."""
    return {
        "SWITCHYARD_EVENT": event.kind,
        "SWITCHYARD_UPSTREAM": event.upstream,
        "SWITCHYARD_TEXT": event.text.replace("\0", ""),
    }


def title_of(event: Event) -> str:
    return f"Switchyard: {event.kind}"

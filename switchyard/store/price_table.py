"""The published prices: the bundled table, a newer one beside the settings, and how a model is found in them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Annotated

import msgspec
from msgspec import Meta

from switchyard.protocols.names import LONG_CONTEXT_SUFFIX, THINKING_SUFFIX
from switchyard.settings import DollarsPerMillion, Price

BUNDLED = "price_table.json"
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Day = Annotated[str, Meta(pattern=r"^20\d\d-[01]\d-[0-3]\d$", title="a day such as 2026-11-21")]
Factor = Annotated[float, Meta(gt=0, le=1000)]

BEDROCK = re.compile(
    r"(?:(?:us|eu|apac|jp|au|global|us-gov)\.)?"
    r"(?:anthropic|(?P<named>deepseek)|minimax|mistral|moonshot|moonshotai|openai|qwen|zai|xai|google)\.(?P<model>[^.].*)"
)
BEDROCK_VERSION = re.compile(r"-(?:v\d+(?::\d+k?)*|\d+:\d+)$")
VERTEX_VERSION = re.compile(r"@(?:default|latest)$|-maas$")
VARIANT = re.compile(r"-instruct|-fp8$|-preview(?:-\d\d-20\d\d)?$")
DATE = re.compile(r"-20\d\d-?(?:0[1-9]|1[0-2])-?[0-3]\d$|-latest$")


class Peak(msgspec.Struct, frozen=True):
    """Hours (UTC) of some weekdays (Monday is 0) in which a vendor charges `factor` times the price."""

    factor: Factor
    weekdays: list[Annotated[int, Meta(ge=0, le=6)]]
    hours_utc: list[Annotated[int, Meta(ge=0, le=23)]]

    def factor_at(self, at: float) -> float:
        moment = datetime.fromtimestamp(at, UTC)
        return self.factor if moment.weekday() in self.weekdays and moment.hour in self.hours_utc else 1.0


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """The prices of requests with more than `over` input tokens, for the whole request."""

    over: int
    input: DollarsPerMillion
    output: DollarsPerMillion
    cache_read: DollarsPerMillion | None = None


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """The price of some models, according to `source` on the day `checked`.

    `steps` are the prices of long requests, the shortest first, if there are several.
    """

    models: list[Name]
    source: Name
    checked: Day
    price: Price
    steps: list[Step] = []
    peak: Peak | None = None


class PriceTable(msgspec.Struct, frozen=True):
    """Published prices per million tokens; `sources` names the page of each vendor."""

    date: Day
    currency: str
    sources: dict[str, str]
    entries: list[Entry]


def decode_table(content: bytes) -> PriceTable:
    """Raises msgspec.DecodeError, msgspec.ValidationError among them."""
    return msgspec.json.decode(content, type=PriceTable)


@cache
def bundled_table() -> PriceTable:
    return decode_table(resources.files("switchyard.store").joinpath(BUNDLED).read_bytes())


def index_of(table: PriceTable) -> dict[str, Entry]:
    """The entries by the names of their models, in lower case."""
    return {name.lower(): entry for entry in table.entries for name in entry.models}


def spellings(model: str) -> Iterator[str]:
    """The name, and the names that the table may have instead: without vendor, version, date and suffixes.

    `us.anthropic.claude-sonnet-4-5-20250929-v1:0` (Bedrock), `claude-sonnet-4-5@20250929` (Vertex AI),
    `anthropic/claude-sonnet-4.5` (OpenRouter) and `claude-sonnet-4-5[1m]` (Claude Code) are one model.
    """
    seen: dict[str, None] = {}
    name = model.lower()
    for known_as in (name, name.rpartition("/")[2]):
        plain = undressed(known_as)
        for one in (known_as, plain):
            for short in _without_suffixes(one):
                seen.setdefault(short)
                seen.setdefault(DATE.sub("", short))
    yield from seen
    for one in seen:
        if one.startswith("claude-") and "." in one:
            yield one.replace(".", "-")
        if (bare := VARIANT.sub("", one)) != one:
            yield bare
        yield f"{one}-latest"


def undressed(name: str) -> str:
    """The vendor's name of a model of Bedrock or Vertex AI."""
    found = BEDROCK.fullmatch(name)
    inner = name
    if found is not None:
        inner = f"{found['named']}-{found['model']}" if found["named"] else found["model"]
    return VERTEX_VERSION.sub("", BEDROCK_VERSION.sub("", inner)).replace("@", "-")


def _without_suffixes(name: str) -> tuple[str, ...]:
    """A few vendors use these suffixes themselves: the name with them comes first."""
    short = name.removesuffix(LONG_CONTEXT_SUFFIX)
    return name, short, short.removesuffix(THINKING_SUFFIX)

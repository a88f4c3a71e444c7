"""Simulated upstreams with tokenizers, caches, peaks and tricks of their own, used by simulated conversations.

They know nothing of the program's estimates: tokens are counted over the texts that the conversations are made of.
"""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from math import ceil
from pathlib import Path
from pydoc_data.topics import topics

from switchyard.audit.fact import Fact
from switchyard.protocols.estimate import estimate_parts
from switchyard.protocols.passthrough.peek import watched_members
from switchyard.protocols.prefix import added_after, prefix_of
from switchyard.relay.prefix_memory import PrefixMemory, Sent

LIBRARY = Path(asyncio.__file__).parent
"""texts of Python's own: those of this repository change every day"""
CHINESE = (
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"
    "小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
    "知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最"
    "间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市"
    "眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计"
    "或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让"
    "认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办"
    "运武半候七必城父强步完革深区即求品士转量空甚众技轻程告江语英基派满式李息写呢识极令黄德收脸钱党倒未持"
    "取设始版双历越史商千片容研像找友孩站广改议形委早房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志飞"
    "观争究包组造落视济喜离虽坏"
)
START = 1_780_000_000.0
DAY = 86400.0
LIFE = 300.0
"""seconds that a prompt cache lives"""


# --- texts and tokenizers ---------------------------------------------------------


@dataclass(frozen=True)
class Tokenizer:
    """Splits words into pieces of some letters, numbers into groups of digits, and so on."""

    letters: float
    digits: int
    han: float
    sign: float
    blank: float

    def count(self, text: str) -> int:
        words = sum(max(1, ceil(len(word) / self.letters)) for word in re.findall(r"[A-Za-zÀ-ſ]+", text))
        numbers = sum(ceil(len(number) / self.digits) for number in re.findall(r"\d+", text))
        han = self.han * len(re.findall(r"[\u3000-\uffee]", text))
        signs = self.sign * len(re.findall(r"[^\w\s]+", text))
        return round(words + numbers + han + signs + self.blank * len(re.findall(r"\n\s*", text)))


TOKENIZERS = {
    "claude-sonnet-4-5": Tokenizer(5.2, 3, 1.1, 1.15, 0.9),
    "gpt-5.5": Tokenizer(6.5, 3, 0.75, 0.9, 0.7),
    "qwen3-coder": Tokenizer(6.0, 1, 0.62, 0.95, 0.8),
}


@dataclass(frozen=True)
class Piece:
    """A text with its JSON form and its tokens by model."""

    encoded: bytes
    tokens: dict[str, int]


def _piece(text: str) -> Piece:
    return Piece(
        json.dumps(text, ensure_ascii=False).encode(),
        {name: one.count(text) for name, one in TOKENIZERS.items()},
    )


@cache
def corpora() -> dict[str, list[Piece]]:
    """Pieces of 1 to 5 KB of code, prose, Chinese, JSON and logs."""
    chance = random.Random(1)
    log = "\n".join(
        f"2026-11-{number % 28 + 1:02} 12:{number % 60:02}:07.{number * 37 % 1000:03} INFO worker-{number % 7} "
        f"GET /api/items/{number * 7919} 200 {number % 90} ms {hash_text(number)}"
        for number in range(3000)
    )
    texts = {
        "code": "\n".join(path.read_text() for path in sorted(LIBRARY.glob("*.py"))),
        "prose": "\n".join(topics.values()),
        "chinese": "".join(_chinese_sentence(chance) for _ in range(12_000)),
        "json": json.dumps(
            [
                {"name": name, "size": len(text), "lines": text.split("\n")[:6]}
                for name, text in topics.items()
            ],
            indent=2,
        ),
        "logs": log,
    }
    return {kind: [_piece(part) for part in _cut(text, chance)] for kind, text in texts.items()}


def _chinese_sentence(chance: random.Random) -> str:
    return "".join(chance.choices(CHINESE, k=chance.randint(5, 30))) + chance.choice("，，。")


def hash_text(number: int) -> str:
    return f"{number * 2654435761 % 2**32:08x}"


def _cut(text: str, chance: random.Random) -> Iterator[str]:
    start = 0
    while start < min(len(text), 400_000):
        size = int(chance.uniform(800, 5000))
        yield text[start : start + size]
        start += size


# --- upstreams ----------------------------------------------------------------------


@dataclass
class Upstream:
    """Honest, unless it has a `trick` from its request number `trick_from` on."""

    name: str
    model: str
    trick: str = ""
    trick_from: int = 0
    added_tokens: int = 0
    """of a system prompt that the relay adds"""
    pace: float = 60.0
    first_token: float = 1.2
    lost_by_chance: float = 0.04
    reports_writes: bool = True
    joins_after: int = 0
    """requests that another upstream has served by then"""
    alias: str = ""
    """how it spells the model in its answers"""
    served: int = 0
    caches: dict[str, tuple[float, int]] = field(default_factory=dict)

    def is_dishonest(self) -> bool:
        return bool(self.trick) and self.served >= self.trick_from

    def has(self, trick: str) -> bool:
        return self.is_dishonest() and self.trick == trick


def serve(
    upstream: Upstream, conversation: "Conversation", at: float, load: float, chance: random.Random
) -> dict[str, float | int | str]:
    """The answer's numbers, as the upstream reports them."""
    prompt = conversation.tokens(upstream.model) + upstream.added_tokens
    cached = upstream.caches.get(conversation.name)
    read = 0
    if cached is not None and at - cached[0] < LIFE and chance.random() > upstream.lost_by_chance:
        read = min(cached[1], prompt)
    upstream.caches[conversation.name] = (at, prompt)
    if upstream.has("never read"):
        read = 0
    if upstream.has("broken prefix"):
        read = min(read, 1500)  # a changing line stands behind the first tools
    factor = (
        float(upstream.trick.partition(" ")[2] or 1)
        if upstream.has(upstream.trick) and upstream.trick.startswith("inflated")
        else 1.0
    )
    slow = load * (3.0 if upstream.has("slow") else 1.0)
    output = int(chance.lognormvariate(5.3, 0.8)) + 5
    named = upstream.alias or upstream.model
    if upstream.has("swapped"):
        named = SWAPPED[upstream.model]
    upstream.served += 1
    return {
        "prompt": int(prompt * factor),
        "read": int(read * factor),
        "output": output,
        "pace": upstream.pace / slow * chance.lognormvariate(0, 0.2),
        "first": (upstream.first_token + prompt / 80_000) * slow * chance.lognormvariate(0, 0.35),
        "named": named,
    }


SWAPPED = {
    "claude-sonnet-4-5": "claude-haiku-4-5-20251001",
    "gpt-5.5": "gpt-5.5-mini",
    "qwen3-coder": "qwen3-30b-a3b",
}


# --- conversations ------------------------------------------------------------------


@dataclass
class Conversation:
    name: str
    upstream: Upstream
    kinds: list[str]
    turns: int
    chance: random.Random
    pieces: list[Piece] = field(default_factory=list)
    head: list[Piece] = field(default_factory=list)

    def grow(self) -> None:
        for _ in range(self.chance.choice((1, 2, 2, 3))):
            self.pieces.append(self.chance.choice(corpora()[self.chance.choice(self.kinds)]))

    def tokens(self, model: str) -> int:
        return sum(piece.tokens[model] + 4 for piece in (*self.head, *self.pieces))

    def body(self) -> bytes:
        tools = b",".join(b'{"name":"tool","description":%b}' % piece.encoded for piece in self.head[1:])
        history = b",".join(
            b'{"role":"%b","content":%b}' % (b"assistant" if number % 2 else b"user", piece.encoded)
            for number, piece in enumerate(self.pieces)
        )
        return b'{"model":"m","system":%b,"messages":[%b],"tools":[%b]}' % (
            self.head[0].encoded,
            history,
            tools,
        )


def heads() -> list[Piece]:
    """The system prompt and the tools of the one client program."""
    return [*corpora()["prose"][:1], *corpora()["prose"][3:12], *corpora()["json"][:2]]


# --- the world -----------------------------------------------------------------------


def facts(
    seed: int, upstreams: list[Upstream], requests_each: int, requests_per_day: int = 100
) -> Iterator[tuple[Upstream, Fact]]:
    """The facts of all upstreams in the order of time, until each has served so many requests."""
    chance = random.Random(seed)
    memory = PrefixMemory()
    waiting: list[tuple[float, int]] = []
    talks: dict[int, Conversation] = {}
    number = 0
    peaks = [START + day * DAY + chance.uniform(0, DAY) for day in range(40) for _ in range(2)]
    spread = DAY * len(upstreams) / requests_per_day / len(upstreams)

    def begin(at: float) -> None:
        nonlocal number
        number += 1
        most = max(one.served for one in upstreams)
        open_ones = [one for one in upstreams if one.served < requests_each and one.joins_after <= most]
        upstream = min(open_ones, key=lambda one: one.served + chance.uniform(0, 40))
        kinds = chance.choices(list(corpora()), weights=(5, 3, 2, 1, 1), k=chance.choice((1, 2, 3)))
        talk = Conversation(f"{seed}-{number}", upstream, kinds, chance.randint(2, 14), chance, head=heads())
        talks[number] = talk
        heappush(waiting, (at, number))

    for _ in range(2 * len(upstreams)):
        begin(START + chance.uniform(0, 3000))
    while any(one.served < requests_each for one in upstreams):
        at, key = heappop(waiting)
        talk = talks[key]
        talk.grow()
        load = 1.8 if any(0 <= at - peak < 5400 for peak in peaks) else chance.uniform(0.9, 1.1)
        yield talk.upstream, _fact(talk, at, serve(talk.upstream, talk, at, load, chance), memory)
        talk.turns -= 1
        pause = chance.choice((8.0, 15.0, 30.0, 60.0, 200.0, 900.0))
        if talk.turns > 0:
            heappush(waiting, (at + pause, key))
        else:
            del talks[key]
            if any(one.served < requests_each for one in upstreams):
                begin(at + chance.expovariate(1 / (spread * 8)))


def _fact(talk: Conversation, at: float, answer: dict[str, float | int | str], memory: PrefixMemory) -> Fact:
    upstream, body = talk.upstream, talk.body()
    prompt, read = int(answer["prompt"]), int(answer["read"])
    sent = Sent(prefix_of(watched_members(body)), at, prompt)
    known = memory.note((talk.name, "", upstream.name, upstream.model), sent)
    goes_on = known is not None and not known.common.changed_in
    added = added_after(known.earlier.prefix, watched_members(body)) if known is not None and goes_on else b""
    return Fact(
        id=f"{upstream.name}-{upstream.served}",
        at=at,
        upstream=upstream.name,
        model=upstream.model,
        client="messages claude-cli",
        conversation=talk.name,
        answered_model=str(answer["named"]),
        input_reported=prompt,
        input_before=None if known is None else known.earlier.tokens,
        added_estimated=estimate_parts(added) if added else None,
        cache_read=read,
        cache_write=prompt - read if upstream.reports_writes else 0,
        cache_expected=None if known is None else known.cached,
        cache_price=2.7e-6,
        stream=True,
        output=int(answer["output"]),
        first_token=float(answer["first"]),
        tokens_per_second=float(answer["pace"]),
    )

"""With what it remembers of earlier turns, a conversion gives the very same bytes, losses and errors as without."""

import gc
import tracemalloc
from random import Random
from threading import Lock, Thread
from typing import Any

import msgspec
import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.known_history import members_along
from switchyard.protocols.message_memory import Beginning, History, KnownItem, MessageMemory
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import Request
from switchyard.protocols.passthrough.peek import history_in, watched_members
from tests.protocols.histories import WRITE, Agent, Item, body_of

TARGETS = (
    Target("up", "issuer"),
    Target("up", "other"),
    Target("up", "other", Capabilities(mid_system=False, cache_control=False, custom_tools=True)),
    Target("up", "issuer", Capabilities(signed_thinking=False, responses_items=False, images=False)),
    Target(
        "up",
        "issuer",
        Capabilities(reasoning_history="required", forced_tool_choice=False, continues_answer=True),
    ),
    Target("up", "issuer", Capabilities(content_parts=False, consecutive_roles=False)),
    Target(
        "up", "issuer", Capabilities(dropped_fields=("messages.*.content", "input.*.status"), files=False)
    ),
)
FORCED = {"messages": {"type": "any"}, "chat": "required", "responses": "required"}
MARK = {"type": "ephemeral"}


def decoded(client: ProtocolName, body: bytes, memory: MessageMemory | None) -> Request | str:
    members, beginning = watched_members(body), None
    if memory is not None and (found := members_along(client, body, memory)) is not None:
        assert found[0] == members
        members, beginning = found
    raw = history_in(members)
    history = None if memory is None or raw is None else History(memory, raw, beginning)
    try:
        return CODECS[client].decode_request(body, history)
    except BadRequest as refused:
        return refused.message


def sent(
    upstream: ProtocolName, asked: Request, target: Target, memory: MessageMemory | None
) -> SentRequest | str:
    try:
        return convert_request(asked, CODECS[upstream], target, memory)
    except BadRequest as refused:
        return refused.message


def assert_the_same(client: ProtocolName, body: bytes, memory: MessageMemory, target: Target) -> None:
    with_memory, without = decoded(client, body, memory), decoded(client, body, None)
    assert with_memory == without
    if isinstance(with_memory, str) or isinstance(without, str):
        return
    for upstream in PROTOCOLS:
        assert sent(upstream, with_memory, target, memory) == sent(upstream, without, target, None)


def changed(random: Random, history: list[Item]) -> list[Item]:
    """The history as clients change it: shortened, cut, one item left out or another one in its place."""
    at = random.randrange(len(history))
    match random.randrange(4):
        case 0:
            return history[: at + 1]
        case 1:
            return history[at:]
        case 2:
            return [*history[:at], *history[at + 1 :]] or history
    return [*history[:at], history[random.randrange(len(history))], *history[at + 1 :]]


def marked(client: ProtocolName, history: list[Item]) -> list[Item]:
    """With the mark for caching that Claude Code moves from turn to turn."""
    last = history[-1]
    if client != "messages" or not isinstance(last, dict) or not isinstance(last["content"], list):
        return history
    *parts, part = last["content"]
    return [*history[:-1], {**last, "content": [*parts, {**part, "cache_control": MARK}]}]


@pytest.mark.parametrize("oddity", [0, 4, 30])
@pytest.mark.parametrize("client", PROTOCOLS)
def test_a_conversion_from_memory_is_the_same_conversion(client: ProtocolName, oddity: int) -> None:
    """115 turns each, in several conversations at a time, over upstreams of all protocols."""
    random = Random(f"{client} {oddity}")
    memories = MessageMemory(least=0), MessageMemory(capacity=60_000, least=0)
    agent = Agent(random, oddity)
    histories: list[list[Item]] = [WRITE[client](agent, "user", []) for _ in range(3)]
    for turn in range(115):
        number = random.randrange(len(histories))
        if turn % 23 == 22 or len(histories[number]) > 40:
            histories[number] = changed(random, histories[number])
        histories[number] += agent.turn(WRITE[client])
        spaced = number == 1
        choice = {"tool_choice": FORCED[client]} if turn % 4 == 0 else {}
        body = body_of(client, marked(client, histories[number]), spaced=spaced, **choice)
        assert_the_same(client, body, memories[turn % 5 == 0], random.choice(TARGETS))
        assert all(memory.size <= memory.capacity for memory in memories)
    assert memories[0].size > 0


SHARED: list[Item] = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "  "},
    {"role": "system", "content": "now"},
    {"role": "user", "content": [{"type": "text", "text": "go on"}]},
]


@pytest.mark.parametrize("other", PROTOCOLS)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_each_protocol_gives_the_same_bytes_its_own_meaning(
    client: ProtocolName, other: ProtocolName
) -> None:
    memory = MessageMemory(least=0)
    decoded(other, body_of(other, SHARED), memory)
    for history in (SHARED, SHARED[1:], SHARED):
        assert_the_same(client, body_of(client, history), memory, TARGETS[0])


@pytest.mark.parametrize("client", PROTOCOLS)
def test_of_a_later_turn_only_what_is_new_is_parsed(client: ProtocolName) -> None:
    memory, history = MessageMemory(), long_history(50_000)
    decoded(client, body_of(client, history), memory)
    later = body_of(client, [*history, *long_history(2000, of="new ")])
    found = members_along(client, later, memory)
    assert found is not None
    members, beginning = found
    assert members == watched_members(later)
    assert [item.raw for item in beginning.items] == [msgspec.json.encode(item) for item in history]


def test_a_beginning_of_which_something_was_forgotten_since_is_decoded_the_same() -> None:
    memory, body = MessageMemory(), body_of("chat", long_history(50_000))
    decoded("chat", body, memory)
    found = members_along("chat", body, memory)
    assert found is not None
    memory.sweep()
    memory.sweep()
    history = History(memory, found[0].messages, found[1])
    assert CODECS["chat"].decode_request(body, history) == plain("chat", body)


# --- stable prefixes ---------------------------------------------------------------


def settled(upstream: ProtocolName, body: bytes) -> tuple[Any, list[bytes]]:
    """What stands before the history, and its items up to those that carry marks for caching."""
    given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    items = msgspec.json.decode(
        given.pop("input" if upstream == "responses" else "messages"), type=list[msgspec.Raw]
    )
    raws = [bytes(item) for item in items]
    first_mark = next((at for at, raw in enumerate(raws) if b"cache_control" in raw), len(raws) - 1)
    return given, raws[:first_mark]


@pytest.mark.parametrize("client", PROTOCOLS)
def test_what_an_upstream_has_got_stays_as_it_was_from_turn_to_turn(client: ProtocolName) -> None:
    """120 turns over upstreams of each protocol, so that prompt caches are read."""
    random, memory = Random(client), MessageMemory(least=0)
    agent, histories = Agent(random, oddity=0), dict[int, list[Item]]()
    last: dict[tuple[int, ProtocolName], tuple[Any, list[bytes]]] = {}
    for turn in range(120):
        number = turn // 20
        histories.setdefault(number, WRITE[client](agent, "user", [])).extend(agent.turn(WRITE[client]))
        asked = decoded(client, body_of(client, marked(client, histories[number])), memory)
        assert isinstance(asked, Request)
        for upstream in PROTOCOLS:
            got = sent(upstream, asked, Target("up", "issuer"), memory)
            assert isinstance(got, SentRequest)
            before, now = last.get((number, upstream), ({}, [])), settled(upstream, got.body)
            assert before[1] == now[1][: len(before[1])]
            assert not before[0] or before[0] == now[0]
            last[number, upstream] = now


# --- bounds ------------------------------------------------------------------------


def long_history(size: int, of: str = "") -> list[Item]:
    return [{"role": "user", "content": f"{of}{number}" + "x" * 1000} for number in range(size // 1000)]


def remember(memory: MessageMemory, history: list[Item]) -> None:
    asked = decoded("chat", body_of("chat", history), memory)
    assert isinstance(asked, Request)
    sent("messages", asked, TARGETS[0], memory)


def test_the_memory_keeps_what_was_used_last_within_its_bounds() -> None:
    memory = MessageMemory(capacity=1_000_000)
    for number in range(20):
        remember(memory, long_history(100_000, of=f"{number} "))
        assert memory.size <= 1_000_000
    assert memory.size > 500_000
    size = memory.size
    assert (memory.sweep(), memory.sweep()) == (0, size)
    assert memory.size == 0


def test_what_was_used_since_the_last_sweep_stays() -> None:
    memory, old, new = MessageMemory(), long_history(50_000, of="old "), long_history(50_000, of="new ")
    for history in (old, new):
        remember(memory, history)
    both = memory.size
    memory.sweep()
    remember(memory, new)
    memory.sweep()
    assert 0 < memory.size <= both // 2 + 1000
    memory.sweep()
    assert memory.size == 0


def test_what_is_written_for_another_upstream_later_is_counted_and_forgotten_with_its_messages() -> None:
    """As after a failover, when other requests have come in between."""
    memory = MessageMemory(capacity=400_000, least=0)
    bodies = [body_of("chat", long_history(30_000, of=f"{number} ")) for number in range(6)]
    requests = [asked for body in bodies if isinstance(asked := decoded("chat", body, memory), Request)]
    for asked in requests:
        for target in TARGETS[:4]:
            assert sent("messages", asked, target, memory) == sent("messages", asked, target, None)
    assert 300_000 < memory.size <= 400_000
    assert (memory.sweep(), memory.sweep() > 0, memory.size) == (0, True, 0)


@pytest.mark.parametrize(
    "history", [long_history(20_000), long_history(400_000), [{"role": "user", "content": "x" * 200_000}]]
)
def test_short_and_huge_histories_and_messages_are_not_kept(history: list[Item]) -> None:
    memory = MessageMemory(capacity=1_000_000)
    remember(memory, history)
    assert memory.size == 0


def test_nothing_stays_in_memory_beside_what_is_counted() -> None:
    """A conversation whose end was forgotten holds nothing of it."""
    memory = MessageMemory(capacity=400_000)
    for number in range(30):
        remember(memory, [*long_history(40_000, of="all "), *long_history(60_000, of=f"{number} ")])
    gc.collect()
    items = [one for one in gc.get_objects() if isinstance(one, KnownItem)]
    assert sum(one.size for one in items) <= 400_000


def test_long_messages_take_the_memory_that_is_counted() -> None:
    memory = MessageMemory()
    roles = ("user", "assistant") * 20
    history: list[Item] = [{"role": role, "content": f"{at}" + "x" * 50_000} for at, role in enumerate(roles)]
    tracemalloc.start()
    try:
        remember(memory, history)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= memory.size


def held_by(memory: MessageMemory) -> int:
    """The bytes of all texts that its messages hold."""
    gc.collect()
    items = [one for one in gc.get_objects() if isinstance(one, KnownItem) and one.raw]
    texts: dict[int, int] = {}
    for item in items:
        for written in item.written.values():
            texts |= {id(part): len(memoryview(part)) for part in written.parts}
            texts |= {id(block): len(msgspec.json.encode(block)) for block in written.content}
        texts |= {id(block): len(msgspec.json.encode(block)) for block in item.blocks}
    return sum(texts.values())


def picture(number: int) -> Item:
    url = "data:image/png;base64," + f"{number:04}" * 5000
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


@pytest.mark.parametrize("kind", ["one head", "one end", "pictures"])
def test_messages_that_are_written_as_one_with_others_each_time_stay_within_the_bounds(kind: str) -> None:
    memory, large = MessageMemory(capacity=1_000_000, least=0), {"role": "user", "content": "x" * 40_000}
    for number in range(60):
        small: Item = {"role": "user", "content": f"{number} "}
        history = {
            "one head": [large, small],
            "one end": [small, large],
            "pictures": [{"role": "user", "content": "What is this?"}, picture(number)],
        }[kind]
        asked = plain("chat", body_of("chat", history)), decoded("chat", body_of("chat", history), memory)
        assert isinstance(asked[1], Request)
        assert sent("messages", asked[1], TARGETS[3], memory) == sent("messages", asked[0], TARGETS[3], None)
        assert memory.size <= memory.capacity
    assert held_by(memory) <= memory.size
    assert (memory.sweep(), memory.sweep() > 0, memory.size) == (0, True, 0)


def test_of_a_history_that_does_not_fit_the_beginning_is_kept() -> None:
    memory, history = MessageMemory(capacity=200_000), long_history(64_000)
    remember(memory, history)
    size = memory.size
    assert 150_000 < size <= 200_000
    known = sum(isinstance(item, KnownItem) for item in items_of(memory, history))
    assert known > 32
    remember(memory, [*history, *long_history(2000, of="new ")])
    assert known == sum(isinstance(item, KnownItem) for item in items_of(memory, history))


def items_of(memory: MessageMemory, history: list[Item]) -> list[KnownItem | bytes]:
    raw = msgspec.json.encode(history)
    return memory.split(Beginning("chat", raw, 0, len(raw), *memory.along("chat", raw, 0)))


def test_threads_share_the_memory() -> None:
    memory, histories = (
        MessageMemory(capacity=500_000, lock=Lock()),
        [long_history(60_000, of=f"{one} ") for one in range(6)],
    )
    bodies = [body_of("chat", history) for history in histories]
    expected = [sent("messages", of, TARGETS[0], None) for body in bodies if (of := plain("chat", body))]
    wrong: list[int] = []

    def work(seed: int) -> None:
        random = Random(seed)
        for _ in range(25):
            number = random.randrange(6)
            asked = decoded("chat", bodies[number], memory)
            if isinstance(asked, str) or sent("messages", asked, TARGETS[0], memory) != expected[number]:
                wrong.append(number)

    threads = [Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def plain(client: ProtocolName, body: bytes) -> Request:
    asked = decoded(client, body, None)
    assert isinstance(asked, Request)
    return asked


ONE = b'{"role":"user","content":"one%b"}' % (b"x" * 300)
TWO = b'{"role":"user","content":"two"}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[%b],"messages":[%b,%b]}' % (ONE, ONE, TWO),
        b'{"model":"m","messages":[%b,%b],"messages":[%b]}' % (ONE, TWO, ONE),
        b'{"x":[%b],"model":"m","messages":[%b],"y":[%b]}' % (ONE, ONE, ONE),
        b'{"x":"[%b]","model":"m","messages":[%b]}' % (ONE.replace(b'"', b'\\"'), ONE),
        b'{"model":"m","messages":[ %b , %b ]}' % (ONE, TWO),
        b'{"model":"m","messages":[%b, %b]}' % (ONE, TWO),
        b'{"model":"m","messages":[%b,\n%b]\n}' % (ONE, TWO),
        b'{"model":"m","messages":[%b ,%b]}' % (ONE, TWO),
        b'{"model":"m","messages":[%b,"\\ud83d"]}' % ONE,
        b'{"model":"m","messages":[%b,{"role":"user","content":"\\ud83d"}]}' % ONE,
        b'{"model":"m","messages":[%b,{"role":"user","content":"\xff"}]}' % ONE,
        b'{"model":"m","messages":[%b,3]}' % ONE,
        b'{"model":"m","messages":[]}',
        b'{"model":"m","messages":{"a":[%b]}}' % ONE,
        b'{"model":"m","messages":"\\u0000history\\u0000"}',
        b'{"model":"m","messages":[%b],"input":"\\u0000history\\u0000"}' % ONE,
        b'{"model":"m","input":[%b],"messages":[%b]}' % (ONE, TWO),
    ],
)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_unusual_bodies_are_decoded_the_same_from_memory(client: ProtocolName, body: bytes) -> None:
    memory = MessageMemory(least=0)
    for known in (b'{"model":"m","messages":[%b]}', b'{"model":"m","input":[%b]}'):
        decoded(client, known % ONE, memory)
        decoded(client, known % (ONE + b"," + TWO), memory)
    try:
        watched_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # refused before it is decoded
    assert_the_same(client, body, memory, TARGETS[0])

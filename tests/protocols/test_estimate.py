"""Estimates beside the counts of a real tokenizer (the vocabulary o200k_base)."""

import base64
import struct

import pytest

from switchyard.protocols import neutral
from switchyard.protocols.estimate import StreamEstimate, estimate_text, estimate_tokens

COUNTED: dict[str, tuple[int, str]] = {
    "python": (
        269,
        """\
def merge_intervals(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    '''Merge overlapping intervals; the input need not be sorted.'''
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


class RetryingClient:
    def __init__(self, session, max_attempts=3, backoff_seconds=0.5):
        self._session = session
        self._max_attempts = max_attempts
        self._backoff_seconds = backoff_seconds

    async def get(self, url, **options):
        for attempt in range(self._max_attempts):
            try:
                response = await self._session.get(url, **options)
                response.raise_for_status()
                return await response.json()
            except (ConnectionError, TimeoutError) as error:
                if attempt + 1 == self._max_attempts:
                    raise RuntimeError(f"giving up on {url}") from error
                await asyncio.sleep(self._backoff_seconds * 2**attempt)
""",
    ),
    "typescript": (
        201,
        """\
export interface CacheEntry<T> {
  value: T;
  expiresAt: number;
}

export class LruCache<K, V> {
  private readonly entries = new Map<K, CacheEntry<V>>();

  constructor(private readonly capacity: number, private readonly ttlMs: number) {}

  get(key: K): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined || entry.expiresAt < Date.now()) {
      this.entries.delete(key);
      return undefined;
    }
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  set(key: K, value: V): void {
    if (this.entries.size >= this.capacity) {
      const oldest = this.entries.keys().next().value;
      if (oldest !== undefined) this.entries.delete(oldest);
    }
    this.entries.set(key, { value, expiresAt: Date.now() + this.ttlMs });
  }
}
""",
    ),
    "english": (
        165,
        """\
The old lighthouse had not been manned for thirty years when Margaret first climbed its stairs. Dust lay on \
every step, and somewhere above her a loose shutter knocked against the wall whenever the wind came in from the sea. \
She had expected to find nothing but rust and broken glass. Instead the lamp room was swept clean, the brass was \
polished, and on the keeper's desk lay an open logbook whose last entry had been written that very morning. For a \
while she stood quite still and listened. Then she sat down, turned to a fresh page, and began to write: the weather, \
the state of the tide, and the names of the three ships that were waiting beyond the reef. Whoever kept this light \
alive would want to know that somebody else had been here, and that she had not touched anything that mattered.
""",
    ),
    "chinese": (
        188,
        """\
请帮我检查一下这个函数为什么会在并发请求下返回空值，并写一个单元测试来证明修复有效。我们需要把旧的配置文件迁移到新的格式，\
同时保持向后兼容，否则已经部署的服务会在升级之后无法启动。数据库连接池在高峰时段经常耗尽，建议增加超时和重试机制，并把每次失败的原因\
写入日志。今天下午的会议改到三点半，请大家提前准备好各自的进度报告。这座城市的秋天总是来得很早，街道两旁的银杏树叶已经开始变黄，\
风一吹便落满了人行道。老人们坐在公园的长椅上下棋，孩子们在落叶堆里追逐打闹，空气里有烤红薯的香味。
""",
    ),
    "json": (
        136,
        """\
{"tools":[{"name":"read_file","description":"Reads a file from the workspace and returns its lines with \
numbers.","input_schema":{"type":"object","properties":{"path":{"type":"string","description":"Absolute path of the \
file"},"offset":{"type":"integer","minimum":1},"limit":{"type":"integer","maximum":2000}},"required":["path"],\
"additionalProperties":false}},{"name":"run_command","description":"Runs a shell command and returns what it \
printed.","input_schema":{"type":"object","properties":{"command":{"type":"string"},"timeout_ms":{"type":"integer"},\
"working_directory":{"type":"string"}},"required":["command"]}}]}
""",
    ),
    "log": (
        197,
        """\
2026-11-21 05:12:09,482 INFO  gateway.server request 7f3a91c2 POST /v1/messages 200 in 1843 ms
2026-11-21 05:12:11,007 WARN  gateway.upstream "local" answered 503, retrying in 2.5 s (attempt 2 of 3)
2026-11-21 05:12:13,559 INFO  gateway.server request 7f3a91c3 POST /v1/messages 200 in 2410 ms
2026-11-21 05:12:20,118 ERROR gateway.upstream "backup" refused the connection: [Errno 111] 127.0.0.1:8081
2026-11-21 05:12:20,120 INFO  gateway.routing resting "backup" for 30 s, 1 upstream left
""",
    ),
    "diff": (
        114,
        """\
--- a/src/server.py
+++ b/src/server.py
@@ -41,9 +41,12 @@ class Server:
     def handle(self, request):
-        body = request.read()
-        result = self.router.dispatch(request.path, body)
+        try:
+            body = request.read(limit=self.max_body_bytes)
+        except BodyTooLarge:
+            return Response(status=413)
+        result = self.router.dispatch(request.method, request.path, body)
         self.metrics.count("requests")
         return Response(status=200, body=result)
""",
    ),
}


def counted(kind: str) -> tuple[int, str]:
    tokens, text = COUNTED[kind]
    return tokens, text.replace("'''", '"' * 3)


@pytest.mark.parametrize("kind", COUNTED)
def test_an_estimate_is_close_and_rather_too_high(kind: str) -> None:
    tokens, text = counted(kind)
    assert 0.95 <= estimate_text(text) / tokens <= 1.2


def test_the_estimate_of_everything_together_is_within_a_tenth() -> None:
    counts = [counted(kind) for kind in COUNTED]
    assert 1 <= sum(estimate_text(text) for _, text in counts) / sum(tokens for tokens, _ in counts) <= 1.1


def test_nothing_is_no_token_and_half_a_character_is_one() -> None:
    assert (estimate_text(""), estimate_text("\ud83d")) == (0, 1)


def test_a_stream_is_estimated_as_its_whole_text() -> None:
    _, text = counted("english")
    stream = StreamEstimate()
    for at in range(0, len(text), 7):
        stream.add(text[at : at + 7])
    assert stream.tokens == estimate_text(text)
    assert StreamEstimate().tokens == 0


@pytest.mark.parametrize("names", [("english",), ("english", "python"), ("python", "english", "chinese")])
def test_a_long_text_is_estimated_by_samples_within_three_percent(names: tuple[str, ...]) -> None:
    texts = [counted(name)[1] for name in names]
    long = "\n".join((text + "\n") * (200_000 // len(text)) for text in texts)
    weighed = sum(estimate_text(text + "\n") * (200_000 // len(text)) for text in texts)
    assert estimate_text(long) == pytest.approx(weighed, rel=0.03)


def test_a_long_conversation_is_estimated_as_one_text_of_its_lines() -> None:
    lines = [counted(kind)[1] * (1 + number % 9) for number in range(40) for kind in COUNTED]
    asked = user(*(neutral.Text(line) for line in lines))
    assert estimate_tokens(asked) == estimate_text("\n".join(lines)) + estimate_tokens(user())


def user(*content: neutral.Block) -> neutral.Request:
    return neutral.Request("m", (neutral.Message("user", content),))


def test_all_that_the_model_reads_is_counted() -> None:
    _, text = counted("english")
    plain = estimate_tokens(user())
    call = neutral.ToolCall("a", "f", text)
    result = neutral.ToolResult("a", (neutral.Text(text),))
    for block in (
        neutral.Text(text),
        neutral.Thinking(text),
        call,
        result,
        neutral.Document("text/plain", text),
    ):
        assert 0 <= estimate_tokens(user(block)) - plain - estimate_text(text) <= 3
    assert estimate_tokens(neutral.Request("m", (), system=(text,))) >= estimate_text(text)
    tool = neutral.Tool("f", text, {"type": "object", "properties": {"city": {"type": "string"}}})
    assert estimate_tokens(neutral.Request("m", (), tools=(tool,))) >= estimate_text(text) + 12


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 300, 200)
GIF = b"GIF89a" + struct.pack("<HH", 300, 200)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 200, 300)
HUGE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 9000, 9000)


@pytest.mark.parametrize(
    ("data", "tokens"),
    [(PNG, 80), (GIF, 80), (JPEG, 80), (HUGE, 1600), (b"RIFF....WEBP", 1600), (b"\x89PNG", 1600)],
    ids=["png", "gif", "jpeg", "huge", "unknown", "cut off"],
)
def test_an_image_counts_by_its_size(data: bytes, tokens: int) -> None:
    image = neutral.Image("image/png", base64.b64encode(data + bytes(12)).decode())
    assert estimate_tokens(user(image)) - estimate_tokens(user()) == tokens
    inside = neutral.ToolResult("a", (image,))
    assert estimate_tokens(user(inside)) - estimate_tokens(user()) == tokens


@pytest.mark.parametrize(
    ("data", "tokens"),
    [(b"/Type /Pages /Type /Page /Type/Page", 4000), (b"x" * 1_000_000, 20_000), (b"", 2000)],
)
def test_a_pdf_counts_by_its_pages(data: bytes, tokens: int) -> None:
    pdf = neutral.Document("application/pdf", base64.b64encode(data + b"  ").decode())
    assert estimate_tokens(user(pdf)) - estimate_tokens(user()) == tokens


def test_an_image_that_is_no_base64_counts_all_the_same() -> None:
    assert estimate_tokens(user(neutral.Image("image/png", "\u00e9" * 8))) > 1600

"""The page on security matches the code, in both languages."""

import re
from pathlib import Path

import pytest

from switchyard.connections import Limits
from switchyard.protocols.retry_hints.values import MAX_SECONDS
from switchyard.protocols.sse import MAX_CONTAINERS, MAX_RECORD_BYTES
from switchyard.relay.answer_memory import MAX_AGE_SECONDS, MAX_BYTES
from switchyard.relay.attempt import MAX_ERROR_BYTES, MAX_HELD_BYTES, MAX_KEPT_BYTES, MAX_WHOLE_BYTES
from switchyard.relay.capture import MAX_BYTES as MAX_CAPTURED_BYTES
from switchyard.relay.capture import MAX_CAPTURES
from switchyard.relay.decisions import DECISION_SECONDS
from switchyard.relay.decompress import MOST_PER_CHUNK
from switchyard.relay.headers import MAX_GIVEN_BACK
from switchyard.relay.local_keys import IDENTIFYING, LONG_KEY_CHARS
from switchyard.relay.redaction import SHORTEST_SECRET
from switchyard.relay.tape import MAX_ANSWER_BYTES, MAX_REQUEST_BYTES
from switchyard.settings import Settings
from switchyard.web.bodies import MOST_CONTAINERS
from switchyard.web.gateway import REFUSAL_SECONDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = tuple(ROOT / "docs" / name for name in ("security.md", "security.zh-CN.md"))
LIMITS = Limits()

FIGURES: dict[tuple[str, str], float] = {
    (r"without streaming \| (\d+) MB", r"非流式回答 \| (\d+) MB"): MAX_WHOLE_BYTES >> 20,
    (r"event of a stream \| (\d+) MB", r"一个事件 \| (\d+) MB"): MAX_RECORD_BYTES >> 20,
    (r"content of a stream \| (\d+) MB", r"第一个内容之前 \| (\d+) MB"): MAX_HELD_BYTES >> 20,
    (r"compressed chunk, after decompression \| (\d+) MB", r"压缩块解压后 \| (\d+) MB"): MOST_PER_CHUNK >> 20,
    (r"(\d+) MB read", r"读取 (\d+) MB"): MAX_ERROR_BYTES >> 20,
    (r"(\d+) KB kept", r"保留 (\d+) KB"): MAX_KEPT_BYTES >> 10,
    (r"returned to the client \| (\d+) KB", r"返回客户端的响应头 \| (\d+) KB"): MAX_GIVEN_BACK >> 10,
    (r"(\d+) days for the reset", r"配额重置为 (\d+) 天"): MAX_SECONDS / 86400,
    (r"`max_body_megabytes` \((\d+)\)", r"`max_body_megabytes`（(\d+)）"): Settings().max_body_megabytes,
    (r"headers up to (\d+) KB", r"请求头最大 (\d+) KB"): LIMITS.head_bytes >> 10,
    (r"(\d+) seconds to send its headers", r"有 (\d+) 秒发送请求头"): LIMITS.head_seconds,
    (r"(\d+) minutes to send its body", r"(\d+) 分钟发送请求体"): LIMITS.body_seconds / 60,
    (r"after (\d+) minutes without progress", r"(\d+) 分钟没有读取"): LIMITS.unread_seconds / 60,
    (r"At (2,500) connections", r"达到 (2,500) 个连接"): LIMITS.connections,
    (r"Keys of (\d+) characters", r"不少于 (\d+) 个字符的密钥"): LONG_KEY_CHARS,
    (r"values shorter than (\d+) characters", r"短于 (\d+) 个字符"): SHORTEST_SECRET,
    (r"within (\d+) minutes", r"(\d+) 分钟内"): DECISION_SECONDS / 60,
    (r"The last (\d+) captured requests", r"最近 (\d+) 个被捕获的请求"): MAX_CAPTURES,
    (r"at most (\d+) MB of one body", r"单个正文最多 (\d+) MB"): MAX_REQUEST_BYTES >> 20,
    (r"(\d+) MB of one answer", r"单个回答最多 (\d+) MB"): MAX_ANSWER_BYTES >> 20,
    (r"(\d+) MB of all", r"合计最多 (\d+) MB"): MAX_CAPTURED_BYTES >> 20,
    (r"a day and (\d+) MB", r"最多保存一天、(\d+) MB"): MAX_BYTES >> 20,
}
"""the figure in both languages -> its value in the code"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure[0])
def test_the_limits_of_the_page_are_those_of_the_code(figure: tuple[str, str], page: Path) -> None:
    text = re.sub(r"\s+", " ", page.read_text())
    found = re.search(figure[PAGES.index(page)], text)
    assert found is not None
    assert float(found[1].replace(",", "")) == FIGURES[figure]


def test_the_figures_in_words_are_those_of_the_code() -> None:
    text = re.sub(r"\s+", " ", PAGES[0].read_text())
    assert text.count("one million lists and objects") == 2 and MAX_CONTAINERS == 1_000_000
    assert "about four million lists and objects" in text and MOST_CONTAINERS == 4_000_000
    assert "up to a day" in text and MAX_AGE_SECONDS == 86400
    assert "delayed by half a second" in text and REFUSAL_SECONDS == 0.5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_members_that_the_page_names_are_those_of_the_code(page: Path) -> None:
    text = page.read_text()
    begin = text.index("`user`, `user_id`" if page is PAGES[0] else "`user`、`user_id`")
    assert tuple(re.findall("`(\\w+)`", text[begin : text.index("\n\n", begin)])) == IDENTIFYING


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_the_page_lists_exist(page: Path) -> None:
    listed = re.findall("`(tests/[^`]+)`", page.read_text())
    assert len(listed) > 20
    assert [path for path in listed if not (ROOT / path).exists()] == []

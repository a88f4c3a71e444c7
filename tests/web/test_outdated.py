"""The answer of the dashboard after its files were replaced: one sentence, in both languages."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from switchyard.web.outdated import CHINESE, SENTENCE, answer_outdated

I18N = Path(__file__).resolve().parents[2] / "static" / "i18n"


def answered(method: str, accept: str) -> tuple[int, dict[bytes, bytes], str]:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "method": method, "path": "/", "headers": [(b"accept", accept.encode())]}
    asyncio.run(answer_outdated(scope, send))
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"].decode()


def test_a_visit_gets_a_page_with_the_sentence_in_both_languages() -> None:
    status, headers, page = answered("GET", "text/html,application/xhtml+xml,*/*;q=0.8")
    assert (status, headers[b"content-type"]) == (503, b"text/html; charset=utf-8")
    assert f"<p>{SENTENCE}</p>" in page
    assert f'<p lang="zh-CN">{CHINESE}</p>' in page


def test_the_api_gets_the_sentence_in_the_shape_of_its_errors() -> None:
    status, headers, body = answered("POST", "*/*")
    assert (status, headers[b"content-type"]) == (503, b"application/json")
    assert json.loads(body) == {"error": {"message": SENTENCE}}


def test_no_browser_keeps_the_answer_and_head_has_no_body() -> None:
    _, headers, body = answered("HEAD", "text/html")
    assert (headers[b"cache-control"], body) == (b"no-store", "")


@pytest.mark.parametrize(("language", "text"), [("en", ""), ("zh", CHINESE)])
def test_an_open_page_translates_the_sentence(language: str, text: str) -> None:
    words = json.loads((I18N / f"{language}.json").read_text(encoding="utf-8"))
    assert words[f"daemon.{SENTENCE}"] == text

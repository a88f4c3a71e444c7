"""Send one question through the official SDKs, streamed or not, with the retries that a test allows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from tests.bed.wire import Protocol


@dataclass(frozen=True)
class Question:
    """`base_url` as a user would give it to the SDK."""

    base_url: str
    model: str
    stream: bool = True
    retries: int = 0
    text: str = "Do it"
    seconds: float = 200
    is_ready: Callable[[], None] = lambda: None
    """called right before the request is sent, as creating a client takes long"""

    @property
    def said(self) -> Any:
        return [{"role": "user", "content": self.text}]


class AnswerFailed(Exception):
    """The stream reported its failure in an event, which the SDK does not raise by itself."""


def ask_sdk(protocol: Protocol, question: Question) -> str:
    """The response's text; raises the SDK's errors, or AnswerFailed."""
    return _ASK[protocol](question)


def _ask_messages(question: Question) -> str:
    arguments: Any = {"model": question.model, "max_tokens": 100, "messages": question.said}
    with anthropic.Anthropic(
        base_url=question.base_url, auth_token="123", max_retries=question.retries, timeout=question.seconds
    ) as client:
        question.is_ready()
        if not question.stream:
            message = client.messages.create(**arguments)
        else:
            with client.messages.stream(**arguments) as events:
                message = events.get_final_message()
    return "".join(block.text for block in message.content if block.type == "text")


def _openai(question: Question) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=question.base_url, api_key="123", max_retries=question.retries, timeout=question.seconds
    )


def _ask_chat(question: Question) -> str:
    arguments: Any = {"model": question.model, "messages": question.said}
    with _openai(question) as client:
        question.is_ready()
        if not question.stream:
            return client.chat.completions.create(**arguments).choices[0].message.content or ""
        with client.chat.completions.stream(**arguments) as events:
            return events.get_final_completion().choices[0].message.content or ""


def _ask_responses(question: Question) -> str:
    arguments: Any = {"model": question.model, "input": question.said}
    with _openai(question) as client:
        question.is_ready()
        if not question.stream:
            return str(client.responses.create(**arguments).output_text)
        with client.responses.stream(**arguments) as events:
            for event in events:
                if event.type == "response.failed":
                    raise AnswerFailed(event.response.error and event.response.error.message)
            return events.get_final_response().output_text


_ASK: dict[Protocol, Callable[[Question], str]] = {
    "messages": _ask_messages,
    "chat": _ask_chat,
    "responses": _ask_responses,
}

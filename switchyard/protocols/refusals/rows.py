"""The kinds of rows that recognize refusals, the words that they are made of, and the change that one suggests."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.late_pattern import late
from switchyard.protocols.neutral import WireError
from switchyard.protocols.refusals.sentences import Sentence
from switchyard.protocols.wire import json_text

GAP = r"(?:(?!\. ).){0,100}?"
"""what may stand between two words of one sentence"""
TROUBLE = r"(?:internal|error|exception|issue|failure|end|eof|stop|abort|condition|status|response|result|token|close)"
"""What servers call unknown or unexpected when they fail themselves."""
UNKNOWN = (
    r"(?:unsupported|not (?:currently |yet )?(?:be )?(?:supported|permitted|allowed|accepted|available|recogni[sz]ed"
    r"|implemented|enabled)|n[o']t (?:currently )?(?:support|accept|allow)|unrecogni[sz]ed|deprecated"
    rf"|(?:unknown|unexpected)(?! {TROUBLE})|(?<!temporarily )(?<!service )unavailable(?! (?:right|at))"
    r"|extra (?:inputs|fields)|extra_forbidden|cannot (?:both )?be (?:used|set"
    r"|specified|combined|provided|given)|no longer|incompatible"
    r"|additional propert|invalid (?:param|arg|field|key|prop)|only (?:be )?(?:supported|available"
    r"|accepted|enabled)|enabled only|only \S+ is (?:allowed|supported)"
    r"|no (?:endpoints?|providers?|channels?)(?: \w+){0,3} support"
    r"|不支持|不被支持|未知|不允许|无法识别|非法|不能)"
)
WRONG = (
    rf"(?:{UNKNOWN}|may not|may only|cannot|can not|can't|must"
    rf"|requires?|should|only|not valid|invalid|错误|必须|只能|只支持|仅支持|无效)"
)
NUMBER = r"(-?\d+(?:\.\d+)?)"


def whole_name(words: str) -> str:
    """The words as a whole name: not as a part of `get_temperature` or `x-thinking`."""
    return rf"(?<![A-Za-z0-9_/@.:\-])(?:{words})(?![A-Za-z0-9_/@\-]|[.:][A-Za-z0-9_])"


def near(subject: str, why: str) -> str:
    return rf"(?:{subject}){GAP}(?:{why})|(?:{why}){GAP}(?:{subject})"


@cache
def pattern(words: str) -> re.Pattern[str]:
    """One for all rows that have the same words."""
    return late(words, re.DOTALL)


class LearnedLimit(msgspec.Struct, frozen=True):
    """One change that may help. `capabilities` hold for this model of the upstream once a request with them has
    succeeded, unless they and `strip_thinking` are only `for_now`, for the request at hand."""

    why: str
    capabilities: Mapping[str, Any] = msgspec.field(default_factory=dict)
    strip_thinking: bool = False
    for_now: bool = False

    @property
    def key(self) -> str:
        """The same for the same change."""
        return json_text([self.capabilities, self.strip_thinking])


# --- kinds of rows --------------------------------------------------------------

Learned = Iterator[tuple[str, Mapping[str, Any]]]
"""why a change may help, and the capabilities that make it"""
Learn = Callable[[re.Match[str], Sentence, Capabilities], Learned]


class Row(msgspec.Struct, frozen=True):
    """Applies to what is refused at a `path`, if the words say `why`; or to words that name it."""

    learn: Learn
    words: re.Pattern[str]
    path: re.Pattern[str] | None = None
    why: re.Pattern[str] | None = None

    def limits(self, sentence: Sentence, error: WireError, known: Capabilities) -> Iterator[LearnedLimit]:
        if (found := self._find(sentence)) is None:
            return
        for why, capabilities in self.learn(found, sentence, known):
            if any(getattr(known, name) != value for name, value in capabilities.items()):
                yield LearnedLimit(why, capabilities)

    def _find(self, sentence: Sentence) -> re.Match[str] | None:
        if self.path is None or not sentence.path:
            return self.words.search(sentence.words)
        if self.why is None or not self.path.fullmatch(".".join(sentence.path)):
            return None
        return self.why.search(sentence.words)


class ForeignThinking(Row, frozen=True):
    """Thinking of earlier turns that another upstream signed."""

    def limits(self, sentence: Sentence, error: WireError, known: Capabilities) -> Iterator[LearnedLimit]:
        if self.words.search(f"{error.code.lower()} {'.'.join(sentence.path)} {sentence.words}"):
            yield LearnedLimit("the thinking of earlier turns is not its own", strip_thinking=True)


def sets(**capabilities: Any) -> Learn:
    return one_of(capabilities)


def one_of(*alternatives: Mapping[str, Any]) -> Learn:
    """Learns the first of these that helps."""
    learned = [(f"it does not take {', '.join(one)}", one) for one in alternatives]
    return lambda found, sentence, known: iter(learned)


def pairs(*pairs: str, **otherwise: Any) -> Learn:
    """Learns that the first of two is left out; if that does not help, the other way round; then the rest."""

    def learn(found: re.Match[str], sentence: Sentence, known: Capabilities) -> Learned:
        for pair in pairs:
            if pair not in known.refused_together:
                yield f"it does not take {pair} together", adds("refused_together", (pair,), known)
        if otherwise:
            yield f"it does not take {', '.join(otherwise)}", otherwise

    return learn


def adds(capability: str, names: tuple[str, ...], known: Capabilities) -> Mapping[str, Any]:
    return {capability: tuple(dict.fromkeys((*getattr(known, capability), *names)))}


def at(path: str, why: str, learn: Learn, also: str = "", words: str = "") -> Row:
    """About the field at the `path`. Where no path is known: the reason near its name, or what is `also` said for it;
    or only these `words`."""
    subject = whole_name(path) + (f"|{also}" if also else "")
    return Row(learn, pattern(words or near(subject, why)), pattern(path), pattern(why))


def says(words: str, learn: Learn) -> Row:
    return Row(learn, pattern(words))

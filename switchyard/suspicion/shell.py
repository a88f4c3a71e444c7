"""Read a shell script as pipelines of commands, as far as their meaning matters; never an error.

Quotes and escapes are resolved, and so are variables that the script itself sets: attacks hide in both.
"""

import re
from collections.abc import Iterator
from itertools import dropwhile

import msgspec

from switchyard.protocols.late_pattern import late
from switchyard.suspicion.effort import Effort

MAX_DEPTH = 8
MAX_VALUE = 2000
FIELD_SEPARATOR = late(r"\$(?:IFS\b|\{IFS[^}]{0,200}\})(?:\$\d)?")
ASSIGNMENT = late(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
VARIABLE = late(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)[^}]{0,200}\})")
REDIRECT = late(r"(?:\d+|&)?(<<<|<<-?|<>|<&|<|>>|>\||>&|>)")
KEYWORDS = frozenset("if then else elif fi do done while until ! { } time case esac coproc".split())
DECLARING = frozenset(("export", "local", "declare", "typeset", "readonly", "set"))
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "a": "\a", "e": "\x1b"}
ENDS_WORD = frozenset(" \t\r\n;&|()")
PLAIN = late(r"[^ \t\r\n;&|()<>'\"\\`$]+")
PLAIN_QUOTED = late(r"[^\"\\`$]+")
PARSE_STEPS = 80
SHIFT = 9
"""adding to a text costs a step for so many bits of its length"""


class Word(msgspec.Struct):
    """One word without its quotes; `inner` are the pipelines whose output or input it stands for."""

    text: str = ""
    inner: tuple["Pipeline", ...] = ()


Variables = dict[str, Word]


class Redirect(msgspec.Struct):
    sign: str
    target: Word


class Command(msgspec.Struct):
    """`group` of a subshell, `heredoc` what it reads from within the script."""

    words: list[Word] = msgspec.field(default_factory=list)
    redirects: list[Redirect] = msgspec.field(default_factory=list)
    group: tuple["Pipeline", ...] = ()
    heredoc: str = ""
    real: list[Word] | None = None
    """the words without what only starts the program, once they are known"""


class Pipeline(msgspec.Struct):
    commands: list[Command]


def parse(
    script: str, variables: Variables | None = None, depth: int = 0, effort: Effort | None = None
) -> tuple[Pipeline, ...]:
    """The pipelines of a script, in their order; `variables` are those that are set so far. Raises TooMuch."""
    if depth > MAX_DEPTH:
        return ()
    effort = effort or Effort()
    effort.spend(PARSE_STEPS + len(script))
    text = FIELD_SEPARATOR.sub(" ", script).replace("\\\r\n", "").replace("\\\n", "")
    return _Parser(text, {} if variables is None else variables, depth, effort).pipelines()


def all_pipelines(pipelines: tuple[Pipeline, ...]) -> Iterator[Pipeline]:
    """These, and those within their groups and words."""
    for pipeline in pipelines:
        yield pipeline
        for command in pipeline.commands:
            yield from all_pipelines(command.group)
            for word in (*command.words, *(redirect.target for redirect in command.redirects)):
                yield from all_pipelines(word.inner)


class _Parser:
    def __init__(self, text: str, variables: Variables, depth: int, effort: Effort) -> None:
        self._text = text
        self._at = 0
        self._variables = variables
        self._depth = depth
        self._effort = effort
        self._heredocs: list[tuple[Command, str]] = []

    def pipelines(self, closing: str = "") -> tuple[Pipeline, ...]:
        found: list[Pipeline] = []
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign == closing:
                break
            if sign in " \t\r\n;&|)":
                self._skip(sign)
                continue
            commands = [command for command in self._commands(closing) if not _is_empty(command)]
            if commands:
                found.append(Pipeline(commands))
        return tuple(found)

    def _skip(self, sign: str) -> None:
        self._at += 1
        if sign == "\n":
            self._take_heredocs()

    def _commands(self, closing: str) -> Iterator[Command]:
        """The commands of one pipeline."""
        while True:
            yield self._command(closing)
            if self._text[self._at : self._at + 1] != "|" or self._text.startswith("||", self._at):
                return
            self._at += 2 if self._text.startswith("|&", self._at) else 1
            while self._text[self._at : self._at + 1] in (" ", "\t", "\n", "\r"):
                self._skip(self._text[self._at])

    def _command(self, closing: str) -> Command:
        command = Command()
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign in " \t\r":
                self._at += 1
            elif sign == "&" and self._text.startswith(("&>", "&>>"), self._at):
                self._redirect(command)
            elif sign in "\n;&|)" or sign == closing:
                break
            elif sign == "#":
                self._skip_comment()
            elif sign == "(":
                self._take_group(command)
            elif REDIRECT.match(self._text, self._at) and not self._text.startswith(("<(", ">("), self._at):
                self._redirect(command)
            else:
                command.words += self._words(closing)
        self._note_assignments(command)
        return command

    def _skip_comment(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _take_group(self, command: Command) -> None:
        """A subshell, or what other shells put in parentheses as an argument."""
        self._at += 1
        inner = self.pipelines(")") if self._deeper() else ()
        self._depth -= 1
        self._at += 1
        if command.words:
            command.words.append(Word("", inner))
        else:
            command.group += inner

    def _deeper(self) -> bool:
        self._depth += 1
        return self._depth <= MAX_DEPTH

    def _redirect(self, command: Command) -> None:
        found = REDIRECT.match(self._text, self._at)
        sign = found[1] if found else ">"
        self._at = found.end() if found else self._at + 1
        while self._text[self._at : self._at + 1] in (" ", "\t"):
            self._at += 1
        words = self._words("")
        target = words[0] if words else Word()
        if sign in ("<<", "<<-"):
            self._heredocs.append((command, target.text))
        elif sign == "<<<":
            command.heredoc += target.text
            command.redirects.append(Redirect(sign, target))
        else:
            command.redirects.append(Redirect(sign, target))

    def _take_heredocs(self) -> None:
        for command, mark in self._heredocs:
            lines: list[str] = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                end = len(self._text) if end < 0 else end
                line, self._at = self._text[self._at : end], end + 1
                if line.strip("\t ") == mark:
                    break
                lines.append(line)
            command.heredoc += "\n".join(lines)
        self._heredocs = []

    def _words(self, closing: str) -> list[Word]:
        """The word that begins here: several if an unquoted variable holds several."""
        words, start = [Word()], self._at
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign in ENDS_WORD or sign == closing:
                break
            if sign in "<>" and not self._text.startswith(("<(", ">("), self._at):
                break
            self._piece(sign, words)
        if self._at == start:
            self._at += 1
        return words

    def _piece(self, sign: str, words: list[Word]) -> None:
        word = words[-1]
        if sign == "'":
            self._add(word, self._until("'"))
        elif sign == '"':
            self._quoted(word)
        elif sign == "\\":
            self._add(word, self._text[self._at + 1 : self._at + 2])
            self._at += 2
        elif sign == "`" or self._text.startswith(("$(", "<(", ">("), self._at):
            self._substitution(word)
        elif self._text.startswith("$'", self._at):
            self._at += 1
            self._add(word, _unescaped(self._until("'", escapes=True)))
        elif sign == "$":
            value = self._value()
            first, *others = value.text.split() or [""]
            self._add(word, first, value.inner)
            words += [Word(other) for other in others]
        else:
            self._add(word, self._run(PLAIN))

    def _add(self, word: Word, text: str, inner: tuple["Pipeline", ...] = ()) -> None:
        self._effort.spend(1 + (len(word.text) + len(word.inner) >> SHIFT))
        word.text += text
        word.inner += inner

    def _run(self, plain: re.Pattern[str]) -> str:
        """The characters from here on that mean themselves, at least one."""
        found = plain.match(self._text, self._at)
        end = found.end() if found else self._at + 1
        text, self._at = self._text[self._at : end], end
        return text

    def _until(self, quote: str, *, escapes: bool = False) -> str:
        end = self._at + 1
        while end < len(self._text) and self._text[end] != quote:
            end += 2 if escapes and self._text[end] == "\\" else 1
        text, self._at = self._text[self._at + 1 : end], end + 1
        return text

    def _quoted(self, word: Word) -> None:
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] != '"':
            sign = self._text[self._at]
            if sign == "\\":
                next_sign = self._text[self._at + 1 : self._at + 2]
                self._add(word, next_sign if next_sign in ('"', "\\", "$", "`", "\n") else sign + next_sign)
                self._at += 2
            elif sign == "`" or self._text.startswith("$(", self._at):
                self._substitution(word)
            elif sign == "$":
                value = self._value()
                self._add(word, value.text, value.inner)
            else:
                self._add(word, self._run(PLAIN_QUOTED))
        self._at += 1

    def _substitution(self, word: Word) -> None:
        closing = "`" if self._text[self._at] == "`" else ")"
        self._at += 1 if closing == "`" else 2
        inner = self.pipelines(closing) if self._deeper() else ()
        self._depth -= 1
        self._at += 1
        self._add(word, _plain_output(inner), inner)

    def _value(self) -> Word:
        """Of the variable that begins here, or its name if the script does not set it."""
        found = VARIABLE.match(self._text, self._at)
        if found is None:
            self._at += 1
            return Word("$")
        self._at = found.end()
        value = self._variables.get(found[1] or found[2]) or Word(found[0])
        self._effort.spend(len(value.text))
        return value

    def _note_assignments(self, command: Command) -> None:
        """Assignments before a command are no words of it."""
        command.words = list(dropwhile(lambda word: word.text in KEYWORDS, command.words))
        words = command.words
        if len(words) > 3 and words[0].text == "for" and words[2].text == "in":
            self._variables[words[1].text] = words[3]
            command.words = []
        declares = bool(command.words) and command.words[0].text in DECLARING
        assignments = 0
        for word in command.words[1:] if declares else command.words:
            found = ASSIGNMENT.fullmatch(word.text)
            if found is None:
                break
            assignments += 1
            self._variables[found[1]] = Word(found[2][:MAX_VALUE], word.inner)
            if word.inner and not declares:
                command.redirects.append(Redirect("=", word))
        if not declares:
            command.words = command.words[assignments:]


def _is_empty(command: Command) -> bool:
    return not (command.words or command.redirects or command.group or command.heredoc)


def _plain_output(pipelines: tuple[Pipeline, ...]) -> str:
    """What `echo` writes, of a substitution that is nothing else."""
    if len(pipelines) != 1 or len(pipelines[0].commands) != 1:
        return ""
    words = [word.text for word in pipelines[0].commands[0].words]
    return " ".join(words[1:]) if words[:1] in (["echo"], ["printf"]) else ""


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        if found[2]:
            return chr(int(found[2], 8) & 0xFF)
        return ESCAPES.get(found[3], found[3])

    return re.sub(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", one, text, flags=re.DOTALL)


def unescaped(text: str) -> str:
    """The text with the escapes that `printf` and `echo -e` resolve."""
    return _unescaped(text)

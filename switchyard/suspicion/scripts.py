"""Judge a shell script: what it downloads, decodes, runs, reads, sends, installs and writes."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

from switchyard.protocols.late_pattern import late
from switchyard.suspicion.addresses import address_of, addresses_in, is_registry
from switchyard.suspicion.code import reasons_in_code, reasons_in_powershell, scripts_in
from switchyard.suspicion.effort import Effort
from switchyard.suspicion.files import is_patch, reasons_in_patch, reasons_in_written
from switchyard.suspicion.paths import key_file
from switchyard.suspicion.reasons import Code, Reason
from switchyard.suspicion.shell import (
    MAX_DEPTH,
    Command,
    Pipeline,
    Redirect,
    Variables,
    all_pipelines,
    parse,
    unescaped,
)
from switchyard.suspicion.words import (
    CONNECTORS,
    DUMPS_ENVIRONMENT,
    IDENTITY_OPTIONS,
    INTERPRETERS,
    PATTERN_FIRST,
    READERS,
    RUNS_INSTALLERS,
    SENDERS,
    SHELLS,
    TARGET_LAST,
    arguments,
    base_name,
    code_argument,
    commands_within,
    decodes,
    downloads,
    flat_text,
    is_wrapped_by,
    program,
    runs_its_input,
)

POWERSHELL = frozenset(("powershell", "pwsh", "iex", "invoke-expression"))
INSTALLERS = frozenset("pip pip3 uv pipx npm pnpm yarn bun npx uvx gem cargo go brew conda".split())
INSTALLS = frozenset("install i add tool x dlx exec create run config set".split())
OUTPUT_OPTION = late(r"-(?:[a-zA-Z]*[oO]|-output(?:-document)?|OutFile)$")
REMOTE_DEVICE = late(r"/dev/(?:tcp|udp)/([^/\s]+)")
UPLOADED = late(r"(?:^|=|;)[@<]([^;]+)")
HEX_ESCAPES = late(r"(?:\\x[0-9a-fA-F]{2}|\\[0-7]{3}){3}")
SECRET_STORES = late(
    r"gpg\b.{0,200}--export-secret|security\s+(?:find-\S{1,40}-password|dump-keychain)|secret-tool\s+(?:lookup|search)|"
    r"gh auth token|aws configure (?:get|export)|gcloud auth \S{0,40}print-\S{0,40}token|az account get-access-token|"
    r"op (?:read|item get)|pass show"
)
SECRET_NAME = late(r"KEY|TOKEN|SECRET|PASSW")
WINDOWS_OPTION = late(r"/[a-zA-Z]$")
COMMAND_STEPS, WORD_STEPS, BEFORE_STEPS = 100, 10, 10
"""what a command costs, each word of it, and each command that precedes it in its pipeline"""
FIRST_STATEMENT = late(r"^(?:\S+\s+){5}(?=\S)|^@\w+\s+|^Exec\w+=|^\s*run\s*[:=]\s*")


def reasons_in_script(script: str, effort: Effort, depth: int = 0) -> Iterator[Reason]:
    """Of a shell script that is run. Raises TooMuch."""
    if depth > MAX_DEPTH:
        return
    variables: Variables = {}
    yield from _Judge(depth, variables, effort).all(parse(script, variables, depth, effort))


class _Judge:
    """Judges the pipelines of one script; keeps which files it has downloaded or decoded."""

    def __init__(self, depth: int, variables: Variables, effort: Effort) -> None:
        self._depth = depth
        self._effort = effort
        self._variables = variables
        self._made: dict[str, Reason] = {}
        self._device = ""
        """the host to which a numbered file was opened"""

    def all(self, pipelines: tuple[Pipeline, ...]) -> Iterator[Reason]:
        for pipeline in all_pipelines(pipelines):
            self._spend(pipeline)
            yield from self._piped(pipeline)
            for place, command in enumerate(pipeline.commands):
                self._device = self._device or _device(command)
                yield from self._command(command, pipeline.commands[:place])
            self._note_made(pipeline)

    def _spend(self, pipeline: Pipeline) -> None:
        before = 0
        for command in pipeline.commands:
            words = len(command.words) + len(command.redirects)
            self._effort.spend(COMMAND_STEPS + words * WORD_STEPS + before * BEFORE_STEPS)
            inner = (*command.group, *(one for word in command.words for one in word.inner))
            before += 1 + sum(len(one.commands) for one in all_pipelines(inner))

    def _piped(self, pipeline: Pipeline) -> Iterator[Reason]:
        """What flows into an interpreter."""
        commands = pipeline.commands
        for place, command in enumerate(commands):
            outputs = [one for word in command.words for one in commands_within(word.inner)]
            if any(runs_its_input(one) for one in (command, *_own(command.group))) and place:
                yield from self._sources(tuple(commands[:place]))
            elif place and any(runs_its_input(one) for one in outputs) and program(command) == "tee":
                yield from self._sources(tuple(commands[:place]))

    def _sources(self, commands: tuple[Command, ...]) -> Iterator[Reason]:
        """What these commands write, if it is run."""
        inner = [one for command in commands for one in (command, *_own(command.group))]
        self._effort.spend(len(inner) * WORD_STEPS)
        for command in inner:
            text = flat_text(command)
            if downloads(command) or (program(command) in INTERPRETERS and _fetches(command)):
                yield Reason(Code.DOWNLOAD_RUN, _address(command))
            elif self._device and any(redirect.sign == "<&" for redirect in command.redirects):
                yield Reason(Code.DOWNLOAD_RUN, self._device)
            elif decodes(command) or (program(command) in ("echo", "printf") and HEX_ESCAPES.search(text)):
                yield Reason(Code.DECODED_RUN)
            if program(command) in ("echo", "printf", "cat"):
                written = " ".join(word.text for word in arguments(command))
                yield from self._script(unescaped(written) if program(command) != "cat" else command.heredoc)

    def _script(self, script: str) -> Iterator[Reason]:
        if script.strip() and self._depth < MAX_DEPTH:
            judge = _Judge(self._depth + 1, self._variables, self._effort)
            yield from judge.all(parse(script, self._variables, self._depth + 1, self._effort))

    def _command(self, command: Command, before: list[Command]) -> Iterator[Reason]:
        yield from self._substituted(command)
        yield from self._interpreted(command)
        yield from self._made_before(command)
        yield from _remote_shell(command)
        yield from _keys_read(command)
        yield from _secrets_sent(command, before)
        yield from _package(command)
        yield from self._written(command, before)
        if program(command) in RUNS_INSTALLERS | {"deno"}:
            yield from (Reason(Code.DOWNLOAD_RUN, one) for one in addresses_in(flat_text(command)))

    def _substituted(self, command: Command) -> Iterator[Reason]:
        """`bash -c "$(curl ...)"`, `eval $(...)`, `bash <(curl ...)`, `$(curl ...)` as a command."""
        name, words = program(command), []
        if name in INTERPRETERS | {"eval", "source", "."}:
            words = arguments(command)
            code = code_argument(command)
            if code is not None and name not in SHELLS:
                words = [word for word in words if word is not code or name in POWERSHELL]
        elif command.words:
            words = command.words[:1]
        inner = [one for word in words for one in commands_within(word.inner)]
        inner += [
            one
            for redirect in command.redirects
            if redirect.sign in ("<", "<<<") and name in INTERPRETERS
            for one in commands_within(redirect.target.inner)
        ]
        yield from self._sources(tuple(inner))

    def _interpreted(self, command: Command) -> Iterator[Reason]:
        """Programs within the words of a command."""
        name, code = program(command), code_argument(command)
        if name in POWERSHELL:
            yield from reasons_in_powershell(flat_text(command), self._effort)
            yield from self._script(code.text if code is not None else "")
        elif name in ("awk", "gawk", "mawk"):
            for script in (one for word in arguments(command) for one in scripts_in(word.text)):
                yield from self._script(script)
        elif name == "find":
            yield from self._script(_executed(command))
        elif name in ("eval", "cmd"):
            words = [word.text for word in arguments(command) if not WINDOWS_OPTION.match(word.text)]
            yield from self._script(" ".join(words))
        elif name in SHELLS or (code is not None and is_wrapped_by(command, "su")):
            yield from self._script(code.text if code is not None else "")
            yield from self._script(command.heredoc)
        elif name in INTERPRETERS:
            for text in (flat_text(command) if code is not None else "", command.heredoc):
                yield from reasons_in_code(text, self._effort)
                for script in scripts_in(text):
                    yield from self._script(script)

    def _note_made(self, pipeline: Pipeline) -> None:
        """Files that hold what was downloaded or decoded."""
        for command in pipeline.commands:
            targets = _outputs(pipeline.commands[-1].redirects)
            if downloads(command):
                reason = Reason(Code.DOWNLOAD_RUN, _address(command))
                targets += _output_files(command)
            elif decodes(command):
                reason = Reason(Code.DECODED_RUN)
            else:
                continue
            self._made.update(dict.fromkeys(map(_file_name, targets), reason))

    def _made_before(self, command: Command) -> Iterator[Reason]:
        """Runs a file that this script has made."""
        if not self._made or not command.words:
            return
        name, words = program(command), [word.text for word in arguments(command)]
        run = []
        if name in INTERPRETERS | {"source", ".", "start"}:
            run = [word for word in words if not word.startswith("-")][:1]
            run += [redirect.target.text for redirect in command.redirects if redirect.sign == "<"]
        elif (
            "/" in command.words[0].text or is_wrapped_by(command, "sudo") or name.endswith((".exe", ".bat"))
        ):
            run = [name]
        found = (self._made.get(_file_name(one)) for one in run)
        yield from (reason for reason in found if reason is not None)

    def _later(self, text: str) -> Iterator[Reason]:
        return reasons_in_run_later(text, self._effort, self._depth + 1)

    def _written(self, command: Command, before: list[Command]) -> Iterator[Reason]:
        """Files that the script writes with texts of its own."""
        name = program(command)
        targets = _outputs(command.redirects)
        if name == "tee":
            targets += [word.text for word in arguments(command) if not word.text.startswith("-")]
        texts = [command.heredoc, *(one.heredoc for one in before)]
        for one in (command, *before, *(inner for each in before for inner in _own(each.group))):
            if program(one) in ("echo", "printf"):
                words = " ".join(word.text for word in arguments(one))
                texts.append(unescaped(words) if program(one) == "printf" else words)
        if name == "apply_patch" or is_patch(command.heredoc):
            patches = [command.heredoc, *(word.text for word in arguments(command))]
            yield from (
                reason for patch in patches for reason in reasons_in_patch(patch, self._later, self._effort)
            )
        if name == "crontab":
            targets.append("/etc/cron.d/user")
        if name == "git" and "config" in [word.text for word in arguments(command)]:
            texts, targets = (
                [" ".join(word.text.lstrip("!") for word in arguments(command)[-1:])],
                [".git/config"],
            )
        for target in targets:
            yield from reasons_in_written(target, "\n".join(texts), self._later, self._effort)


def reasons_in_run_later(text: str, effort: Effort, depth: int = 0) -> Iterator[Reason]:
    """Of a text that is run by itself: also of each line without what precedes commands in such files.

    Raises TooMuch.
    """
    yield from reasons_in_script(text, effort, depth)
    lines = [FIRST_STATEMENT.sub("", line) for line in text.splitlines() if FIRST_STATEMENT.match(line)]
    yield from reasons_in_script("\n".join(lines), effort, depth)
    yield from (reason for script in scripts_in(text) for reason in reasons_in_script(script, effort, depth))


def _executed(command: Command) -> str:
    """What `find` runs, with the names that it looks for in place of what it finds."""
    words = [word.text for word in arguments(command)]
    option = next((one for one in ("-exec", "-execdir", "-ok") if one in words), "")
    if not option:
        return ""
    looked_for = [
        value for name, value in pairwise(words) if name in ("-name", "-iname", "-path", "-wholename")
    ]
    at = words.index(option)
    run = [word for word in words[at + 1 :] if word not in (";", "+", "{}")]
    return shlex.join([*run, *(looked_for or words[:1])])


def _own(group: tuple[Pipeline, ...]) -> list[Command]:
    return list(commands_within(group))


def _fetches(command: Command) -> bool:
    code = code_argument(command)
    return code is not None and bool(
        re.search(r"urlopen|requests\.get|fetch\(|http\.get|LWP|urllib", code.text)
    )


def _address(command: Command) -> str:
    """Where a command downloads from or sends to; "" if it hides that."""
    if host := _device(command):
        return host
    words = [word.text for word in arguments(command)]
    if found := addresses_in(" ".join(words)):
        return found[0]
    plain = [word for word in words if not word.startswith(("-", "@", "+"))]
    return next((address for word in reversed(plain) if (address := address_of(word))), "")


def _output_files(command: Command) -> list[str]:
    words = [word.text for word in arguments(command)]
    files = [value for option, value in pairwise(words) if OUTPUT_OPTION.match(option)]
    named = _file_name(_address(command).partition("?")[0])
    return [*files, named, *words[-1:]]


def _outputs(redirects: list[Redirect]) -> list[str]:
    return [redirect.target.text for redirect in redirects if redirect.sign in (">", ">>", ">|")]


def _file_name(path: str) -> str:
    return base_name(path.rstrip("/"))


def _device(command: Command) -> str:
    """The host that the shell itself connects to."""
    found = (REMOTE_DEVICE.search(redirect.target.text) for redirect in command.redirects)
    return next((one[1] for one in found if one), "")


def _remote_shell(command: Command) -> Iterator[Reason]:
    name, text = program(command), flat_text(command)
    if name in SHELLS and (host := _device(command)):
        yield Reason(Code.REMOTE_SHELL, host)
    if name in CONNECTORS and re.search(
        r"(?:^|\s)-\w*[ec]\s+\S{0,200}sh\b|(?i:exec|system):\S{0,200}sh\b|cmd\.exe", text
    ):
        yield Reason(Code.REMOTE_SHELL, _address(command))


def _keys_read(command: Command) -> Iterator[Reason]:
    found = [key for path in _paths_read(command) if (key := key_file(path))]
    yield from (Reason(Code.KEY_FILE, key) for key in dict.fromkeys(found))


def _paths_read(command: Command) -> Iterator[str]:
    """The files whose content a command reads, as far as its words tell."""
    yield from (redirect.target.text for redirect in command.redirects if redirect.sign == "<")
    name, words = program(command), [word.text for word in arguments(command)]
    if name not in READERS or (name == "sed" and any(word.startswith("-i") for word in words)):
        return
    if name in PATTERN_FIRST:
        words = _without_pattern(words)
    if name in TARGET_LAST or name == "tee":
        words = words[:-1] if name in TARGET_LAST else []
    skips = name in ("scp", "rsync", "curl", "wget", "sftp")
    for before, word in zip(["", *words], words, strict=False):
        if skips and before in IDENTITY_OPTIONS:
            continue
        yield from _paths_in(word, name)


def _without_pattern(words: list[str]) -> list[str]:
    if any(word in ("-e", "-f") for word in words):
        return words
    at = next((place for place, word in enumerate(words) if not word.startswith("-")), len(words))
    return words[at + 1 :]


def _paths_in(word: str, name: str) -> Iterator[str]:
    if name in ("curl", "wget", "http", "https"):
        yield from UPLOADED.findall(word)
        if "@" in word or word.startswith(("~", "/", "$HOME", ".")):
            yield word.rpartition("@")[2]
    elif name == "dd":
        yield word.removeprefix("if=")
    elif not word.startswith("-"):
        yield word
    elif "=" in word:
        yield word.partition("=")[2]


def _secrets_sent(command: Command, before: list[Command]) -> Iterator[Reason]:
    """Keys or the environment, on their way to an address."""
    if program(command) not in SENDERS and not (program(command) == "openssl" and downloads(command)):
        return
    sources = [command, *before, *(one for each in before for one in _own(each.group))]
    inner = [one for each in sources for word in each.words for one in commands_within(word.inner)]
    carries = any(_dumps(one) for one in (*before, *inner)) or any(
        _has_keys(one) for one in (*sources, *inner)
    )
    if carries:
        yield Reason(Code.SECRETS_SENT, _address(command))


def _has_keys(command: Command) -> bool:
    return any(key_file(path) for path in _paths_read(command))


def _dumps(command: Command) -> bool:
    """Writes the whole environment, or what a store of secrets holds."""
    words = [word.text for word in command.words]
    if words[:1] == ["printenv"] and any(SECRET_NAME.search(word) for word in words[1:]):
        return True
    if SECRET_STORES.search(" ".join(words)):
        return True
    return (
        bool(words)
        and base_name(words[0]) in DUMPS_ENVIRONMENT
        and all(word.startswith("-") for word in words[1:])
    )


def _package(command: Command) -> Iterator[Reason]:
    name, words = program(command), [word.text for word in arguments(command)]
    if name in ("python", "py") and words[:1] == ["-m"]:
        name, words = base_name("".join(words[1:2])), words[2:]
    if name not in INSTALLERS or not (INSTALLS & set(words[:3]) or name in ("npx", "uvx")):
        return
    for word in words:
        for address in addresses_in(word):
            if not is_registry(address):
                yield Reason(Code.PACKAGE_FROM_URL, address.removeprefix("git+"))
        if re.match(r"(?:github|gitlab|bitbucket|gist):\S+|git@\S+", word):
            yield Reason(Code.PACKAGE_FROM_URL, word)

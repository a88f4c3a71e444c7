"""Which programs download, decode, run, read and send: tables, and what the words of a command mean by them."""

import re
from collections.abc import Iterator
from itertools import pairwise

from switchyard.protocols.late_pattern import late
from switchyard.suspicion.shell import Command, Pipeline, Word, all_pipelines

SHELLS = frozenset("sh bash zsh dash ksh ash fish busybox csh tcsh rbash".split())
INTERPRETERS = SHELLS | frozenset(
    "python python2 python3 perl ruby node nodejs deno bun php osascript pwsh powershell lua tclsh Rscript iex "
    "invoke-expression".split()
)
DOWNLOADERS = frozenset(
    "curl wget fetch aria2c axel http https xh lynx get lwp-request ftp tftp iwr irm invoke-webrequest "
    "invoke-restmethod start-bitstransfer certutil bitsadmin".split()
)
CONNECTORS = frozenset("nc ncat netcat socat telnet".split())
RESOLVERS = frozenset("dig host nslookup drill".split())
SENDERS = DOWNLOADERS | CONNECTORS | RESOLVERS | frozenset("mail sendmail scp rsync sftp rclone".split())
WRAPPERS = frozenset(
    "sudo doas env nohup time command exec builtin xargs timeout nice ionice setsid stdbuf unbuffer su parallel "
    "systemd-run start".split()
)
TAKES_VALUE = frozenset(("-u", "--user", "-g", "-n", "-I", "-P", "-k", "-s", "-L"))
RUNS_INSTALLERS = frozenset("mshta regsvr32 rundll32 msiexec".split())
READERS = frozenset(
    "cat tac bat less more head tail nl od xxd hexdump strings base64 base32 grep egrep fgrep rg ag awk gawk sed cut "
    "sort uniq jq yq cp mv scp rsync tar zip 7z gzip bzip2 xz openssl dd curl wget nc ncat netcat socat type "
    "get-content gc copy xclip xsel pbcopy paste diff tee gpg age rclone http https column fold rev tr".split()
)
PATTERN_FIRST = frozenset("grep egrep fgrep rg ag awk gawk sed jq yq tr cut".split())
"""Their first argument is no file."""
TARGET_LAST = frozenset("cp mv copy scp rsync".split())
"""Their last argument is written."""
IDENTITY_OPTIONS = frozenset(("-i", "--key", "-E", "--cert", "--cacert", "-e", "--rsh", "--identity"))
"""What follows is used as a key, not sent."""
DUMPS_ENVIRONMENT = frozenset("printenv env set export declare compgen".split())
PLAIN_OPTIONS = late(r"-(?:|-|[uBIqlixe]+|s|eu|eux|euxo|pipefail|dev/stdin)$")
DECODE_OPTION = late(r"-(?:d|D|-decode|id|di|-decode=.*)$")
CODE_OPTION = late(r"-(?:[A-Za-z]*[ceEr]|-eval|-print|-command|Command|EncodedCommand)$")


def base_name(command: str) -> str:
    name = command.replace("\\", "/").rsplit("/", 1)[-1].lower().removesuffix(".exe")
    return re.sub(r"^(python|perl|ruby|php|lua|node|pwsh)[\d.]+$", r"\1", name)


def unwrapped(command: Command) -> list[Word]:
    """The words from the program on that really runs: `sudo -u me timeout 5 bash` is `bash`."""
    if command.real is None:
        command.real = _without_wrappers(command.words)
    return command.real


def _without_wrappers(words: list[Word]) -> list[Word]:
    at = 0
    while at < len(words) and base_name(words[at].text) in WRAPPERS:
        at += 1
        while at < len(words) and (
            words[at].text.startswith(("-", "/c", "/C", "/k"))
            or re.fullmatch(r"[A-Za-z_]\w*=.*|[\d.]+[smhd]?|\{\}", words[at].text, re.DOTALL)
        ):
            at += 2 if words[at].text in TAKES_VALUE else 1
    return words[at:]


def program(command: Command) -> str:
    words = unwrapped(command)
    return base_name(words[0].text) if words else ""


def arguments(command: Command) -> list[Word]:
    return unwrapped(command)[1:]


def is_wrapped_by(command: Command, wrapper: str) -> bool:
    return bool(command.words) and any(base_name(word.text) == wrapper for word in command.words[:4])


def code_argument(command: Command) -> Word | None:
    """The program that an interpreter gets as an argument: `-c`, `-lc`, `-e`."""
    may_have_script = program(command) in SHELLS - {"busybox"}
    for option, value in pairwise(arguments(command)):
        if option.text.startswith("-") and CODE_OPTION.match(option.text):
            return value
        if not option.text.startswith("-") and may_have_script:
            return None  # a script with arguments of its own
    return None


def runs_its_input(command: Command) -> bool:
    """True for an interpreter that runs what it reads from standard input."""
    name, given = program(command), [word.text for word in arguments(command)]
    if name in ("source", "."):
        return given[:1] == ["/dev/stdin"]
    if name == "busybox" and given[:1] and given[0] in SHELLS:
        given = given[1:]
    if name in ("at", "batch"):
        return True
    if name not in INTERPRETERS:
        return False
    if is_wrapped_by(command, "xargs"):
        return name in SHELLS
    if name in SHELLS and "-s" in given:
        return True
    return all(PLAIN_OPTIONS.match(word) or word == "/dev/stdin" for word in given)


def decodes(command: Command) -> bool:
    """True for a program that turns an encoded text into another."""
    name, given = program(command), [word.text for word in arguments(command)]
    match name:
        case "base64" | "base32" | "uudecode" | "gbase64":
            return name == "uudecode" or any(DECODE_OPTION.match(word) for word in given)
        case "openssl":
            return "-d" in given and bool({"base64", "enc", "-base64", "-a"} & set(given))
        case "xxd":
            return any(word.startswith("-") and "r" in word for word in given)
        case "rev":
            return True
        case "tr":
            return (
                len(given) >= 2
                and len(given[0]) > 3
                and len(given[0]) == len(given[1])
                and given[0].isalnum() is False
            )
    return False


def downloads(command: Command) -> bool:
    name = program(command)
    if name == "openssl":
        return any(word.text == "s_client" for word in arguments(command))
    if name in CONNECTORS | RESOLVERS | DOWNLOADERS:
        return True
    return any("/dev/tcp/" in redirect.target.text for redirect in command.redirects)


def commands_within(pipelines: tuple[Pipeline, ...]) -> Iterator[Command]:
    for pipeline in all_pipelines(pipelines):
        yield from pipeline.commands


def flat_text(command: Command) -> str:
    """All words of the command, those within parentheses included."""
    pieces = [word.text for word in command.words]
    inner = tuple(pipeline for word in command.words for pipeline in word.inner)
    pieces += [word.text for one in commands_within(inner) for word in one.words]
    return " ".join(pieces)

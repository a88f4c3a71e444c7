"""Judge programs in other languages than the shell, by the words that stand in them."""

import re
from collections.abc import Iterator
from itertools import islice

from switchyard.protocols.late_pattern import late
from switchyard.suspicion.addresses import addresses_in
from switchyard.suspicion.effort import Effort
from switchyard.suspicion.paths import key_file
from switchyard.suspicion.reasons import Code, Reason

RUNS = late(
    r"(?<![.\w])(?:exec|eval|assert|compile)\s*[(\s]|"
    r"\b(?:execSync|execfile|spawnSync|system|passthru|shell_exec|popen|loadstring|instance_eval|Function|"
    r"runInThisContext|runInNewContext|__import__)\b\s*[(\s&]|(?i:\b(?:Invoke-Expression|iex)\b)|shell\s*=\s*True"
)
FETCHES = late(
    r"urlopen|urlretrieve|import (?:requests|httpx|aiohttp)|"
    r"URI\.open|open-uri|requests\.(?:get|post)|httpx\.(?:get|post)|https?\.get\b|\bfetch\(|axios|"
    r"['\"]https?['\"]\s*\)\.(?:get|request)|LWP::|HTTP::Tiny|Net::HTTP|file_get_contents\(\s*['\"]https?:|curl_exec|DownloadString|DownloadFile|Net\.WebClient|"
    r"Invoke-WebRequest|Invoke-RestMethod|\b(?:iwr|irm)\b|socket\.(?:create_connection|socket)|urllib"
)
DECODES = late(
    r"b64decode|b32decode|base64\.decode|\batob\(|['\"]base64['\"]|MIME::Base64|decode_base64|base64_decode|fromhex|"
    r"unhexlify|FromBase64String|Base64\.decode64|marshal\.loads|codecs\.decode"
)
READS = late(
    r"\bopen\s*\(|read_text|read_bytes|readFile|file_get_contents|File\.read|IO\.read|Get-Content|slurp|shutil\.copy"
)
SENDS = late(
    r"urlopen|requests\.(?:post|put|get)|httpx\.(?:post|put|get)|https?\.request|\bfetch\(|axios|socket|WebClient"
)
ENVIRONMENT = late(
    r"dict\(os\.environ|os\.environ(?:\.copy\(\)|\.items\(\)|\s*[,)])|JSON\.stringify\(process\.env\)|%ENV\b|ENV\.to_"
)
LITERAL = late(r"\\.|\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`", re.DOTALL)
SHELL_SIGNS = late(r"[|;&<]|\$\(|\b(?:curl|wget|cat|base64|bash|sh|nc|pip|npm)\b")
ENCODED_COMMAND = late(r"(?i)\s[-/](?:e|ec|en|enc|enco\w*)\s+[\"']?[A-Za-z0-9+/=]{16,}")
MAX_LITERALS = 400
CHARS_A_STEP = 3


def reasons_in_code(code: str, effort: Effort) -> Iterator[Reason]:
    """Of a program that is run. Raises TooMuch."""
    effort.spend(len(code) // CHARS_A_STEP)
    addresses = addresses_in(code) or [""]
    if RUNS.search(code) and FETCHES.search(code):
        yield from (Reason(Code.DOWNLOAD_RUN, address) for address in addresses)
    if RUNS.search(code) and DECODES.search(code):
        yield Reason(Code.DECODED_RUN)
    keys = [key for literal in literals(code) if (key := key_file(literal))] if READS.search(code) else []
    yield from (Reason(Code.KEY_FILE, key) for key in keys)
    if (keys or ENVIRONMENT.search(code)) and SENDS.search(code):
        yield from (Reason(Code.SECRETS_SENT, address) for address in addresses)


def literals(code: str) -> list[str]:
    found = (one[one.lastindex] for one in LITERAL.finditer(code) if one.lastindex is not None)
    return [
        text.replace("\\n", "\n").replace('\\"', '"').replace("\\'", "'")
        for text in islice(found, MAX_LITERALS)
    ]


def scripts_in(code: str) -> list[str]:
    """The string literals that may be shell scripts."""
    return [text for text in literals(code) if len(text) > 6 and SHELL_SIGNS.search(text)]


def reasons_in_powershell(text: str, effort: Effort) -> Iterator[Reason]:
    """Of what PowerShell is started with. Raises TooMuch."""
    if ENCODED_COMMAND.search(f" {text}"):
        yield Reason(Code.DECODED_RUN)
    yield from reasons_in_code(text, effort)

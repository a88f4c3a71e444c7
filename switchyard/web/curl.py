"""Show a captured request as the curl command for its upstream, without the key."""

import shlex

from switchyard.relay.headers import CREDENTIALS
from switchyard.relay.redaction import MASK, masked_url, redacted_bytes
from switchyard.relay.tape import SentRequest
from switchyard.web.captured_view import OF_THE_CONNECTION, shown_header

MAX_BODY_CHARS = 64 * 1024
"""systems limit the length of one argument (Linux: 128 KB)"""
BODY_FILE = "request.json"


def curl_command(sent: SentRequest, own_headers: frozenset[str], secrets: tuple[str, ...]) -> str:
    """The request as it was sent; "" without its body. A long body is expected in a file.

    `own_headers`: names of headers whose values come from the settings.
    """
    if sent.body is None:
        return ""
    body = redacted_bytes(sent.body, secrets).decode(errors="replace")
    lines = [f"curl {shlex.quote(masked_url(sent.url))}"]
    for name, value in sent.headers:
        if name in CREDENTIALS:
            scheme = "Bearer " if value.startswith("Bearer ") else ""
            lines.append(f'-H "{name}: {scheme}$KEY"')
        elif name not in OF_THE_CONNECTION:
            shown = MASK if name in own_headers else shown_header(name, value, secrets)
            lines.append(f"-H {shlex.quote(f'{name}: {shown}')}")
    is_long = len(body) > MAX_BODY_CHARS
    lines.append(f"--data-binary {f'@{BODY_FILE}' if is_long else shlex.quote(body)}")
    return " \\\n  ".join(lines)

"""Why a tool call looks like an attack: a code for each reason, and what it is about."""

from enum import StrEnum

import msgspec

MAX_ABOUT = 100


class Code(StrEnum):
    DOWNLOAD_RUN = "download_run"
    """Runs what it downloads."""
    DECODED_RUN = "decoded_run"
    """Runs what it decodes."""
    REMOTE_SHELL = "remote_shell"
    """Connects a shell with another machine."""
    KEY_FILE = "key_file"
    """Reads a file that holds keys."""
    SECRETS_SENT = "secrets_sent"
    """Sends keys or the environment to an address."""
    PACKAGE_FROM_URL = "package_from_url"
    """Installs a package from an address of its own."""
    ACCESS_FILE = "access_file"
    """Writes a file that decides who may enter this machine."""
    TOO_LONG = "too_long"
    """Is too long or too involved to be judged."""


class Reason(msgspec.Struct, frozen=True):
    """`about`: the address or the file, "" where the call hides it. A reason about something that the conversation
    mentions is none."""

    code: Code
    about: str = ""

"""What an examination gives, and what it is given."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from switchyard.settings import Settings

Level = Literal["ok", "warning", "fault"]


class Finding(msgspec.Struct, frozen=True):
    """`fix` says what to do; `repair` does it where that is safe, and raises OSError if it cannot."""

    level: Level
    subject: str
    text: str
    fix: str = ""
    repair: Callable[[], object] | None = None


class Patient(msgspec.Struct, frozen=True):
    """Everything an examination may look at."""

    data: Path
    host: str
    port: int
    address: str
    """where clients shall find the daemon"""
    settings: Settings
    environment: Mapping[str, str]
    home: Path
    stamp: str
    """the time, for names of backups"""


Examination = Callable[[Patient], list[Finding]]

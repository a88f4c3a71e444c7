"""The input and the results of `doctor`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from switchyard.settings import Settings

Level = Literal["ok", "warning", "fault"]


class Finding(msgspec.Struct, frozen=True):
    """`fix` tells the user what to do; `repair` does it if that is safe, and raises OSError if it cannot."""

    level: Level
    subject: str
    text: str
    fix: str = ""
    repair: Callable[[], object] | None = None


class DoctorInputs(msgspec.Struct, frozen=True):
    """Everything that the checks may use."""

    data: Path
    host: str
    port: int
    address: str
    """the daemon's address for clients"""
    settings: Settings
    environment: Mapping[str, str]
    home: Path
    stamp: str
    """the time, for names of backups"""


Examination = Callable[[DoctorInputs], list[Finding]]

"""Measure how many attacks are found and how many harmless calls are marked: `python -m tests.suspicion.rates`."""

import json
from dataclasses import dataclass
from functools import cache

from switchyard.suspicion.calls import reasons_of
from switchyard.suspicion.conversation import Conversation
from switchyard.suspicion.reasons import Reason
from tests.suspicion.attacks import ATTACKS
from tests.suspicion.benign import Turn, turns

TASK = "Please fix the failing test in src/app.py."


@dataclass(frozen=True)
class Rates:
    forms: int
    attacks: int
    found: int
    harmless: int
    marked: int

    @property
    def line(self) -> str:
        """The row of the table in docs/security.md."""
        attacks = f"{self.found} of {self.attacks} ({self.found / self.attacks:.1%})"
        return f"| {self.forms} | {attacks} | {self.marked} of {self.harmless} ({self.marked / self.harmless:.1%}) |"


def suspicion(tool: str, arguments: str, said: str) -> tuple[Reason, ...]:
    body = json.dumps({"messages": [{"role": "user", "content": said or TASK}]}).encode()
    return Conversation("messages", body).unmentioned(reasons_of(tool, arguments))


@cache
def missed() -> list[tuple[str, str]]:
    return [
        (form, arguments)
        for form, calls in ATTACKS.items()
        for tool, arguments in calls
        if not suspicion(tool, arguments, "")
    ]


@cache
def alarms() -> list[Turn]:
    return [turn for turn in turns() if suspicion(*turn)]


def measured() -> Rates:
    attacks = sum(map(len, ATTACKS.values()))
    return Rates(len(ATTACKS), attacks, attacks - len(missed()), len(turns()), len(alarms()))


if __name__ == "__main__":
    print(measured().line)
    for form, arguments in missed():
        print("missed:", form, arguments)
    for turn in alarms():
        print("marked:", turn)

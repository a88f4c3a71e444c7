"""Remember simulated outages: each begins with the first request of its prompt."""

import re
from collections import OrderedDict
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

OUTAGE = re.compile(r"demo:\s*outage\s+(\d+(?:\.\d+)?)(?:\s+([45]\d\d)\b)?")
DEFAULT_STATUS = 503
MAX_SECONDS = 600.0
MAX_OUTAGES = 100
REMEMBERED_SECONDS = 30.0
"""after this time the same prompt starts a new outage; until then all its requests succeed"""


class Outage(msgspec.Struct, frozen=True):
    """The outage as a request finds it: `age` seconds after its start, and the number of failures before."""

    seconds: float
    status: int
    age: float = 0.0
    failures: int = 0

    @property
    def is_on(self) -> bool:
        return self.age < self.seconds


class Outages:
    """Time is an argument (monotonic seconds)."""

    def __init__(self) -> None:
        self._begun: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        """prompt -> when its outage began, and how many requests have failed"""

    def __len__(self) -> int:
        return len(self._begun)

    def ask(self, text: str, now: float) -> Outage | None:
        """The outage of a request with this prompt, running or over; None if the prompt requests none."""
        found = OUTAGE.search(text)
        if found is None:
            return None
        wanted = Outage(min(float(found[1]), MAX_SECONDS), int(found[2] or DEFAULT_STATUS))
        prompt = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        began, failures = self._begun.get(prompt, (now, 0))
        if now - began > wanted.seconds + REMEMBERED_SECONDS:
            began, failures = now, 0
        outage = replace(wanted, age=now - began, failures=failures)
        self._begun[prompt] = (began, failures + outage.is_on)
        while len(self._begun) > MAX_OUTAGES:
            self._begun.popitem(last=False)
        return outage

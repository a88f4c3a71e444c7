"""Remember which upstream issued which opaque data, so that no upstream gets what another one signed."""

import re
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b

CAPACITY = 50_000
OPAQUE = re.compile(rb'"(?:signature|encrypted_content|data)"\s*:\s*"([A-Za-z0-9+/=_.-]{16,})"')


class SignatureLedger:
    """Learns the issuers of signatures from answers, and finds foreign ones in requests."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._issuers: OrderedDict[bytes, str] = OrderedDict()
        self._known: set[str] = set()
        self._capacity = capacity

    def note(self, issuer: str, signatures: Iterable[str]) -> None:
        """This issuer has issued these."""
        for signature in signatures:
            mark = _mark(signature.encode())
            self._issuers[mark] = issuer
            self._issuers.move_to_end(mark)
            self._known.add(issuer)
        while len(self._issuers) > self._capacity:
            self._issuers.popitem(last=False)

    def foreign(self, body: bytes, issuer: str) -> frozenset[str]:
        """The signatures in this request that are known to come from another issuer."""
        if not self._known - {issuer}:
            return frozenset()
        return frozenset(
            signature.decode()
            for signature in OPAQUE.findall(body)
            if self._issuers.get(_mark(signature), issuer) != issuer
        )


def _mark(signature: bytes) -> bytes:
    return blake2b(signature, digest_size=12).digest()

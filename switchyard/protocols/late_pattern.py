"""Regular expressions that are compiled at their first use or soon after the start, of which they take a tenth."""

import re
from typing import Any, cast

_PATTERNS: "list[_Late]" = []
METHODS = ("search", "match", "fullmatch", "findall", "finditer", "sub")


def late(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """As `re.compile`, except that a mistake in the pattern shows at its first use. Tests compile all of them."""
    found = _Late(pattern, flags)
    _PATTERNS.append(found)
    return cast("re.Pattern[str]", found)


def compile_all() -> None:
    """So that no request waits for it: the patterns of refusals alone take longer than most requests."""
    for pattern in _PATTERNS:
        pattern.compile()


class _Late:
    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(name)
        self.compile()
        return vars(self)[name]

    def compile(self) -> None:
        """From then on, the methods are attributes: calls cost no more than those of a compiled pattern."""
        if "search" not in vars(self):
            compiled = re.compile(self.pattern, self._flags)
            vars(self).update({name: getattr(compiled, name) for name in METHODS})

"""Write a count with its noun."""


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 request`, `2 requests`; `many` for a noun that does not take an s."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"

"""Limit how much of one call is read, so that no upstream can keep Switchyard busy with it."""

MAX_STEPS = 50_000
MAX_ANSWER_STEPS = 4 * MAX_STEPS
"""for one call, and for all of an answer: about as many characters of a script"""
PATH_STEPS = 30
"""of comparing a path with the files that matter"""


class TooMuch(Exception):
    """The call is too long or too involved to be judged."""


class Effort:
    """What is left: for one call, or for all calls of an answer."""

    __slots__ = ("left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raises TooMuch once nothing is left."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch

"""How the verifier stops: a program is rejected with the kernel's message, or uses what is not covered here."""

from __future__ import annotations

from skep.errors import UnsupportedError


class Rejection(Exception):
    """The program is refused. ``message`` is what the kernel prints last, which people search for.

    ``preceding`` are lines that it prints before that one and that say more. ``facts`` are what an explanation needs:
    register numbers, sizes, limits.
    """

    def __init__(self, message: str, *preceding: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.preceding = preceding
        self.facts = facts


class NotCovered(UnsupportedError):
    """The verdict depends on something that is not checked here; the text names it."""

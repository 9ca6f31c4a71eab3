"""One instruction, prepared: what is fixed about it is made out once, what a path brings along each time.

Steps are objects of a class each and not closures, because that is several times as fast where they are compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

#: What a step gives where the path ends.
END: Final = -1

#: How many results one step remembers. A program has thousands of steps: all of them together have to fit in memory.
REMEMBERED: Final = 64


class Step:
    """One instruction of a program."""

    __slots__ = ()

    def follow(self, explorer: Explorer) -> int:
        """Change ``explorer.state`` as the instruction does; the slot to go on at, or END. Raises Rejection."""
        raise NotImplementedError


class Calling(Step):
    """A step that is a function: for instructions that few paths come by."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[Explorer], int]) -> None:
        self._function = function

    def follow(self, explorer: Explorer) -> int:
        """Call the function."""
        return self._function(explorer)

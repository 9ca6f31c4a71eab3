"""Who watches paths being followed: to print them as the kernel's log does, or to say afterwards what led to a place.

Nobody watches an ordinary run. A program that turned out to be rejected is followed once more with a watcher: both
runs are the same, step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer


class Observer:
    """Told of each event, in order; the state of the path is ``explorer.state``, the place ``explorer.index``."""

    def started(self, explorer: Explorer, function: int) -> None:
        """A function will be followed on its own: the program (number 0), or a global function."""

    def step(self, explorer: Explorer, waiting: int) -> None:
        """An instruction is about to be followed; ``waiting`` forks have not been yet."""

    def remarked(self, explorer: Explorer, line: str) -> None:
        """Of the running instruction Linux prints ``line``, though it permits it."""

    def known(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """A state that was kept covers the one here, behind instruction ``previous``: the path ends."""

    def resumed(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """The fork that instruction ``previous`` made last is followed now; ``waiting`` others are not yet."""

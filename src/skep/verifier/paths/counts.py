"""How many states are kept, as Linux 6.18 counts them: all in all, at most at one time, at most to compare with.

Linux keeps states in lists by instruction and by the call that the running function came from, in a table with a
place for each instruction. A program of several functions may so find the states of another place in a list; they
count among those that there are to compare with. States that a loop came back on, whose marks of precision are not
settled, count as kept too until they are; so does one that is not compared with any more while paths from it are
followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.verifier.paths.checkpoint import Checkpoint

_U32 = (1 << 32) - 1


class StateCounts:
    """The counts of one program. ``total``, ``peak`` and ``most`` are what the last line of a log says."""

    def __init__(self, instructions: int, functions: int) -> None:
        self.total = 0
        self.peak = 0
        self.most = 0
        self._now = 0
        self._places = instructions
        #: Whether states of different instructions may be in one list; then how many are, by place in the table.
        self.shares_lists = functions > 1
        self._lists: dict[int, int] = {}
        #: States that are not compared with any more.
        self.left: set[Checkpoint] = set()

    def _place(self, index: int, site: int) -> int:
        return ((index ^ site) & _U32) % self._places

    def compared(self, index: int, site: int) -> int:
        """How many states there are to compare with at an instruction, in a function that was called at ``site``."""
        return self._lists.get(self._place(index, site), 0)

    def keep(self, index: int, site: int) -> None:
        """One more is kept."""
        self.total += 1
        self._more(1)
        if self.shares_lists:
            place = self._place(index, site)
            self._lists[place] = self._lists.get(place, 0) + 1

    def drop(self, checkpoint: Checkpoint, site: int) -> None:
        """One is not compared with any more."""
        if checkpoint.branches:
            self.left.add(checkpoint)
        else:
            self._now -= 1
        if self.shares_lists:
            self._lists[self._place(checkpoint.index, site)] -= 1

    def finish(self, checkpoint: Checkpoint) -> None:
        """All paths from one were followed."""
        if checkpoint in self.left:
            self.left.remove(checkpoint)
            self._now -= 1

    def loop(self, states: int) -> None:
        """So many more states, or fewer, have to wait for the end of a loop."""
        self._more(states)

    def forget(self) -> None:
        """Another function is followed from now on."""
        self._lists = {}

    def _more(self, states: int) -> None:
        self._now += states
        if self._now > self.peak:
            self.peak = self._now

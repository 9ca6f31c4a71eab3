"""The path that a rejected program was on: every instruction from its start to the one at fault, with the states.

Recorded by following the program a second time (``observer``), so that an ordinary run pays nothing for it. Paths are
followed depth first: when a fork is taken up, what came behind it is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skep.verifier.paths.observer import Observer
from skep.verifier.states.register import NOTHING, Register
from skep.verifier.states.slots import UNUSED, Slot

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.states.state import State

#: How many moments are kept; of a longer path the beginning is forgotten.
_LONGEST = 1 << 15


@dataclass(slots=True)
class Moment:
    """A state, about to execute the instruction at ``index``. ``forked``: the other way was possible too."""

    index: int
    state: State
    waiting: int
    forked: bool = False

    def register(self, frame: int, index: int) -> Register:
        """What a register of a frame holds; nothing where there is no such frame."""
        frames = self.state.frames
        return frames[frame].registers[index] if frame < len(frames) else NOTHING

    def slot(self, frame: int, index: int) -> Slot:
        """What a stack slot of a frame holds."""
        frames = self.state.frames
        if frame >= len(frames) or not 0 <= index < len(frames[frame].slots):
            return UNUSED
        return frames[frame].slots[index]

    @property
    def top(self) -> int:
        """The running frame."""
        return len(self.state.frames) - 1


class PathRecorder(Observer):
    """Keeps the path that is being followed. ``whole``: its beginning is there."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.whole = True

    def started(self, explorer: Explorer, function: int) -> None:
        """A new function: nothing of the last one led here."""
        self.moments.clear()
        self.whole = True

    def step(self, explorer: Explorer, waiting: int) -> None:
        """Keep the state before the instruction."""
        moments = self.moments
        if moments and waiting > moments[-1].waiting:
            moments[-1].forked = True
        if len(moments) >= _LONGEST:
            del moments[: _LONGEST // 2]
            self.whole = False
        moments.append(Moment(explorer.index, explorer.state.copy(), waiting))

    def resumed(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """Go back to the instruction that made the fork: the last that found no more forks waiting."""
        moments = self.moments
        while moments and moments[-1].waiting > waiting:
            moments.pop()
        if moments:
            moments[-1].forked = True
        else:
            self.whole = False

"""Who watches paths being followed: to print them as the kernel's log does, or to say afterwards what led to a place.

Nobody watches an ordinary run. A program that turned out to be rejected is followed once more with a watcher: both
runs are the same, step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier.paths.stack_liveness import StackLiveness

if TYPE_CHECKING:
    from skep.verifier.paths.checkpoint import Checkpoint
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.states.state import State
    from skep.verifier.structure import Structure, Subprogram


class Observer:
    """Told of each event, in order; the state of the path is ``explorer.state``, the place ``explorer.index``."""

    def liveness(self, structure: Structure) -> StackLiveness:
        """What keeps account of the stack's liveness."""
        return StackLiveness(structure)

    def started(self, explorer: Explorer, function: int) -> None:
        """A function will be followed on its own: the program (number 0), or a global function."""

    def step(self, explorer: Explorer, waiting: int) -> None:
        """An instruction is about to be followed; ``waiting`` forks have not been yet."""

    def marked(self, explorer: Explorer, register: int) -> None:
        """The number in a register of the running function turned out to matter."""

    def marked_slot(self, explorer: Explorer, frame: int, slot: int) -> None:
        """The number spilled in a stack slot turned out to matter."""

    def inherited(self, explorer: Explorer, checkpoint: Checkpoint, state: State) -> None:
        """What mattered of a state that was kept matters in ``state``, because it covers that."""

    def looped(self, explorer: Explorer, checkpoint: Checkpoint, state: State) -> None:
        """A loop came back to ``state``, which ``checkpoint`` covers as far as is known: more may matter yet."""

    def kept(self, explorer: Explorer, checkpoint: Checkpoint, previous: int) -> None:
        """The state here, behind instruction ``previous``, is kept."""

    def filled(self, explorer: Explorer, slots: int) -> None:
        """The running call fills stack slots (a bit for each) with anything."""

    def finished(self, explorer: Explorer, checkpoint: Checkpoint) -> None:
        """All paths from a state that was kept were followed."""

    def remarked(self, explorer: Explorer, line: str) -> None:
        """Of the running instruction Linux prints ``line``, though it permits it."""

    def known(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """A state that was kept covers the one here, behind instruction ``previous``: the path ends."""

    def called(self, explorer: Explorer, callee: Subprogram) -> None:
        """A function of the program that is not global is called, or called back, with the registers as they are."""

    def exhausted(self, explorer: Explorer) -> None:
        """A helper calls a function no more often than it did."""

    def left_early(self, explorer: Explorer) -> None:
        """A function that is called is about to return in its midst, behind a tail call or a legacy packet load."""

    def returned(self, explorer: Explorer, site: int) -> None:
        """A callback returned to the call at ``site``, and what earlier rounds had otherwise is still known."""

    def ended(self, explorer: Explorer) -> None:
        """The path ended, and what was kept on it was let go."""

    def resumed(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """The fork that instruction ``previous`` made last is followed now; ``waiting`` others are not yet."""

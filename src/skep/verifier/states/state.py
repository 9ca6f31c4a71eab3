"""The state of a program at one instruction, on one path: frames with registers and stacks, and what is held.

A state is copied where a path forks. Registers and slots are immutable, so a copy is a few short lists a frame. With
each register goes where its number came from since the last checkpoint (``sources``), for ``precision``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.verifier.states.held import HeldLock, Reference
from skep.verifier.states.register import NOTHING, Kind, Register, register
from skep.verifier.states.slots import Slot

if TYPE_CHECKING:
    from skep.verifier.paths.checkpoint import Checkpoint
    from skep.verifier.paths.stack_liveness import Instance

R10: Final = 10


#: Registers that held the same number at a jump: (frame, register or stack slot, whether it is a slot).
Linked = tuple[tuple[int, int, bool], ...]

# Where a number came from, as a set of the registers and stack slots of the checkpoint that the path passed last: an
# integer with a bit for each.

#: Some of it came a way that cannot be traced.
LOST: Final = 1
_REGISTERS: Final = 11
#: Bits of one frame: its registers, then its slots.
SPAN: Final = _REGISTERS + 64
FRAME_MASK: Final = (1 << SPAN) - 1
REGISTER_MASK: Final = (1 << _REGISTERS) - 1


def slot_bit(frame: int, slot: int) -> int:
    """The set of one stack slot."""
    return 1 << 1 + frame * SPAN + _REGISTERS + slot


#: By frame, what each register holds right at a checkpoint; the frame pointer is never a number.
_ITSELF: Final = [[*(1 << 1 + frame * SPAN + index for index in range(R10)), 0] for frame in range(16)]


class Frame:
    """One function call: r0 to r10 and the stack, slot 0 being the one right below the frame pointer.

    ``call_site`` is the instruction that called (-1 in the first frame). In a callback, ``callback`` is how its
    return value is limited, and ``rounds`` how often the caller's loop was entered. ``sources`` is, by register,
    where its number came from; so is ``slot_sources``, for the slots that were written since the last checkpoint.
    """

    __slots__ = (
        "call_site",
        "callback",
        "index",
        "instance",
        "is_new",
        "registers",
        "rounds",
        "slot_sources",
        "slots",
        "sources",
        "subprogram",
    )

    def __init__(self, index: int, subprogram: int, call_site: int, like: Frame | None = None) -> None:
        self.index = index
        self.subprogram = subprogram
        self.call_site = call_site
        if like is not None:
            self.registers: list[Register] = like.registers[:]
            self.slots: list[Slot] = like.slots[:]
            self.callback: tuple[int, int] | None = like.callback
            self.rounds: int = like.rounds
            self.sources: list[int] = like.sources[:]
            self.slot_sources: dict[int, int] = like.slot_sources.copy()
            self.is_new: bool = like.is_new
            self.instance: Instance | None = like.instance
            return
        self.registers = [NOTHING] * R10 + [register(Kind.STACK, frame=index)]
        self.slots = []
        self.callback = None
        self.rounds = 0
        self.sources = [0] * _REGISTERS
        self.slot_sources = {}
        #: Entered since the last checkpoint.
        self.is_new = True
        #: What is known of the stack's liveness in this function as it was called; None as long as nobody asked.
        self.instance = None

    def source_of_slot(self, slot: int) -> int:
        """Where the number in a stack slot came from."""
        found = self.slot_sources.get(slot)
        if found is not None:
            return found
        return 0 if self.is_new else slot_bit(self.index, slot)

    def kept(self) -> None:
        """A checkpoint holds this frame as it is: numbers come from there from now on."""
        self.sources[:] = _ITSELF[self.index]
        self.slot_sources = {}
        self.is_new = False

    def copy(self) -> Frame:
        """The same frame, to be changed on its own."""
        return Frame(self.index, self.subprogram, self.call_site, self)


class State:
    """Where one path has got to.

    ``parent`` is the checkpoint that the path passed last, ``history_length`` how many jumps, landings and uses of
    the stack Linux has kept in its history since. ``references`` and ``locks`` are what is held, ``irqs`` the
    interrupt flags that were saved, in order.
    """

    __slots__ = (
        "asynchronous_entries",
        "callback_turns",
        "frames",
        "history_length",
        "irqs",
        "locks",
        "may_goto_turns",
        "parent",
        "preempt_depth",
        "rcu_depth",
        "references",
        "sleepable",
    )

    def __init__(self, like: State | None = None) -> None:
        if like is not None:
            self.frames: list[Frame] = [frame.copy() for frame in like.frames]
            self.parent: Checkpoint | None = like.parent
            self.history_length: int = like.history_length
            self.references: tuple[Reference, ...] = like.references
            self.locks: tuple[HeldLock, ...] = like.locks
            self.may_goto_turns: int = like.may_goto_turns
            self.callback_turns: int = like.callback_turns
            #: How often a function that is called later was entered on the way here, and whether it may sleep; None:
            #: as the program may.
            self.asynchronous_entries: int = like.asynchronous_entries
            self.sleepable: bool | None = like.sleepable
            self.rcu_depth: int = like.rcu_depth
            self.preempt_depth: int = like.preempt_depth
            self.irqs: tuple[Reference, ...] = like.irqs
            return
        self.frames = [Frame(0, 0, -1)]
        self.parent = None
        self.history_length = 0
        self.references = ()
        self.locks = ()
        self.may_goto_turns = 0
        self.callback_turns = 0
        self.asynchronous_entries = 0
        self.sleepable = None
        self.rcu_depth = 0
        self.preempt_depth = 0
        self.irqs = ()

    def copy(self) -> State:
        """A second path from here on."""
        return State(self)

    def call_sites(self) -> tuple[int, ...]:
        """The instructions that called each frame but the first."""
        frames = self.frames
        return () if len(frames) == 1 else tuple([frame.call_site for frame in frames[1:]])

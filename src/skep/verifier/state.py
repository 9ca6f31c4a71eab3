"""The state of a program at one instruction, on one path: frames with registers and stacks, and what is held.

A state is copied where a path forks. Registers and slots are immutable, so a copy is two short lists a frame. The
jump history is a chain of immutable links shared between copies; each link is one step that did not simply go on to
the next instruction, or that ``precision`` must know more of.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from skep.verifier.register import ANY_NUMBER, NOTHING, Kind, Register, register
from skep.verifier.slots import Slot

if TYPE_CHECKING:
    from skep.verifier.checkpoint import Checkpoint

R10: Final = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """Something acquired that has to be given back: its id, and the instruction that acquired it."""

    id: int
    instruction: int


class LockKind(Enum):
    """How a lock was taken."""

    SPIN = "bpf_spin_lock"
    RESILIENT = "bpf_res_spin_lock"
    RESILIENT_IRQ = "bpf_res_spin_lock_irqsave"

    # Members are compared by identity.
    __hash__ = object.__hash__

    @property
    def title(self) -> str:
        """What messages call it, without ``_lock``."""
        return "bpf_spin" if self is LockKind.SPIN else "bpf_res_spin"


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that is held: what it lies in (the map, or the types of the object), the ``id`` of the pointer to it."""

    subject: object
    id: int
    kind: LockKind = LockKind.SPIN


#: Registers that held the same number at a jump: (frame, register or stack slot, whether it is a slot).
Linked = tuple[tuple[int, int, bool], ...]


class Step:
    """A link of the jump history: that ``index`` was reached from ``previous``.

    ``stack`` is the (frame, slot) that the instruction spilled a register to or filled one from, ``linked`` the
    registers that a jump refined together.
    """

    __slots__ = ("index", "linked", "older", "previous", "stack")

    def __init__(
        self,
        index: int,
        previous: int,
        older: Step | None,
        stack: tuple[int, int] | None = None,
        linked: Linked = (),
    ) -> None:
        self.index = index
        self.previous = previous
        self.older = older
        self.stack = stack
        self.linked = linked


class Frame:
    """One function call: r0 to r10 and the stack, slot 0 being the one right below the frame pointer.

    ``call_site`` is the instruction that called (-1 in the first frame). In a callback, ``callback`` is how its
    return value is limited, and ``rounds`` how often the caller's loop was entered.
    """

    __slots__ = ("call_site", "callback", "index", "registers", "rounds", "slots", "subprogram")

    def __init__(self, index: int, subprogram: int, call_site: int) -> None:
        self.index = index
        self.subprogram = subprogram
        self.call_site = call_site
        self.registers: list[Register] = [NOTHING] * R10 + [register(Kind.STACK, frame=index)]
        self.slots: list[Slot] = []
        self.callback: tuple[int, int] | None = None
        self.rounds = 0

    def copy(self) -> Frame:
        """The same frame, to be changed on its own."""
        new = Frame.__new__(Frame)
        new.index = self.index
        new.subprogram = self.subprogram
        new.call_site = self.call_site
        new.registers = self.registers[:]
        new.slots = self.slots[:]
        new.callback = self.callback
        new.rounds = self.rounds
        return new


class State:
    """Where one path has got to.

    ``parent`` is the checkpoint that the path passed last, ``history`` what happened since. ``references`` and
    ``locks`` are what is held, ``irqs`` the interrupt flags that were saved, in order.
    """

    __slots__ = (
        "asynchronous_entries",
        "callback_turns",
        "first_index",
        "frames",
        "history",
        "history_length",
        "irqs",
        "last_index",
        "locks",
        "may_goto_turns",
        "parent",
        "preempt_depth",
        "rcu_depth",
        "references",
        "sleepable",
    )

    def __init__(self) -> None:
        self.frames: list[Frame] = [Frame(0, 0, -1)]
        self.parent: Checkpoint | None = None
        self.first_index = 0
        self.last_index = 0
        self.history: Step | None = None
        self.history_length = 0
        self.references: tuple[Reference, ...] = ()
        self.locks: tuple[HeldLock, ...] = ()
        self.may_goto_turns = 0
        self.callback_turns = 0
        #: How often a function that is called later was entered on the way here, and whether it may sleep; None: as
        #: the program may.
        self.asynchronous_entries = 0
        self.sleepable: bool | None = None
        self.rcu_depth = 0
        self.preempt_depth = 0
        self.irqs: tuple[Reference, ...] = ()

    def copy(self) -> State:
        """A second path from here on."""
        new = State.__new__(State)
        new.frames = [frame.copy() for frame in self.frames]
        new.parent = self.parent
        new.first_index = self.first_index
        new.last_index = self.last_index
        new.history = self.history
        new.history_length = self.history_length
        new.references = self.references
        new.locks = self.locks
        new.may_goto_turns = self.may_goto_turns
        new.callback_turns = self.callback_turns
        new.asynchronous_entries = self.asynchronous_entries
        new.sleepable = self.sleepable
        new.rcu_depth = self.rcu_depth
        new.preempt_depth = self.preempt_depth
        new.irqs = self.irqs
        return new

    def call_sites(self) -> tuple[int, ...]:
        """The instructions that called each frame but the first."""
        return tuple(frame.call_site for frame in self.frames[1:])

    def forget_arguments(self) -> None:
        """r1 to r5 of the running function hold nothing any more."""
        registers = self.frames[-1].registers
        registers[1:6] = (NOTHING,) * 5

    def set_unknown(self, index: int) -> None:
        """A register of the running function holds any number."""
        self.frames[-1].registers[index] = ANY_NUMBER

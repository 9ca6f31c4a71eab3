"""What can watch an execution, and step in, at each instruction; and four watchers that are often wanted.

A hook sees the execution before and after each instruction, may read and change its registers and memory, and may
raise to end the run. :func:`next_access` tells what the next instruction would do to memory before it does it: from
that the race explorer knows which steps of two CPUs conflict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from skep.engines.interpreter.fault import instruction_text
from skep.isa import meaning as isa
from skep.isa.meaning import MASK64
from skep.isa.table import row_of

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution


class AccessKind(Enum):
    """What an instruction does to memory."""

    LOAD = "load"
    STORE = "store"
    ATOMIC = "atomic update"


@dataclass(frozen=True, slots=True)
class Access:
    """One access to memory: of the instruction at ``slot`` of ``program``, ``size`` bytes at ``address``.

    An ``ordered`` one keeps its place among the CPU's accesses: an atomic that fetches, an acquire or a release.
    """

    program: str
    slot: int
    address: int
    size: int
    kind: AccessKind
    ordered: bool = False


def next_access(execution: Execution) -> Access | None:
    """The access to memory that the next step would make; None if it makes none, or its address is not there yet.

    What a helper does to memory is not seen here.
    """
    slot = execution.pc
    program = execution.code.spec.instructions
    if slot is None or not 0 <= slot < len(program):
        return None
    instruction = program[slot]
    row = row_of(instruction)
    match None if row is None else row.meaning:
        case isa.Load(size):
            base, kind, ordered = instruction.src, AccessKind.LOAD, False
        case isa.LoadAcquire(size):
            base, kind, ordered = instruction.src, AccessKind.LOAD, True
        case isa.Store(size):
            base, kind, ordered = instruction.dst, AccessKind.STORE, False
        case isa.StoreRelease(size):
            base, kind, ordered = instruction.dst, AccessKind.STORE, True
        case isa.Atomic(_, size, _, result):
            base, kind, ordered = instruction.dst, AccessKind.ATOMIC, result is not None
        case _:
            return None
    address = execution.registers[base] if base < len(execution.registers) else None
    if address is None:
        return None
    address = (address + instruction.offset) & MASK64
    return Access(execution.code.spec.name, slot, address, size, kind, ordered)


class Hook:
    """Watches nothing; what is derived from it overrides what it needs."""

    def before(self, execution: Execution) -> None:
        """The instruction at ``execution.pc`` is about to be executed."""

    def after(self, execution: Execution, slot: int) -> None:
        """The instruction that stood at ``slot`` was executed."""


class Coverage(Hook):
    """Counts how often each slot was executed, by the name of the program."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[int]] = {}

    def before(self, execution: Execution) -> None:
        """Count the instruction."""
        assert execution.pc is not None
        self.counts.setdefault(execution.code.spec.name, Counter())[execution.pc] += 1


class Breakpoints(Hook):
    """Calls ``action`` with the execution before each instruction at one of ``slots``."""

    def __init__(self, slots: Iterable[int], action: Callable[[Execution], None]) -> None:
        self.slots = set(slots)
        self.action = action

    def before(self, execution: Execution) -> None:
        """Call the action where there is a breakpoint."""
        if execution.pc in self.slots:
            self.action(execution)


class AccessTrace(Hook):
    """Records every access to memory, in order, that an instruction made."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []
        self._next: Access | None = None

    def before(self, execution: Execution) -> None:
        """Note what is about to happen."""
        self._next = next_access(execution)

    def after(self, execution: Execution, slot: int) -> None:
        """It did happen."""
        if self._next is not None:
            self.accesses.append(self._next)


class Trace(Hook):
    """Gives ``write`` a line for each instruction: its slot, its text, and the registers that it changed."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._text = ""
        self._registers: list[int | None] = []

    def before(self, execution: Execution) -> None:
        """Keep what the registers were."""
        assert execution.pc is not None
        self._text = instruction_text(execution.code, execution.pc)
        self._registers = list(execution.registers)

    def after(self, execution: Execution, slot: int) -> None:
        """Write the line."""
        changes = [
            f"r{number}={'-' if value is None else hex(value)}"
            for number, (before, value) in enumerate(zip(self._registers, execution.registers, strict=True))
            if before != value
        ]
        self._write(f"{slot:5}: {self._text:40} {' '.join(changes)}".rstrip())

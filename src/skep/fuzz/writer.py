"""Instructions put together one by one, with forward jumps filled in later, and what registers hold meanwhile.

``live`` are the registers that hold numbers on every path to here: what a generated program may read. Registers that
hold pointers, and counters of loops, are in neither ``live`` nor among those that may be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

from skep.isa import BY_NAME, Instruction, Row
from skep.isa.meaning import Alu, Atomic, Branch, Load, LoadAcquire, Store, StoreRelease, Swap
from skep.objects.spec import FunctionReference, FunctionSpec, MapReference, Reference

EDGES = (0, 1, 2, 7, 8, 31, 32, 33, 63, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, -1, -2, -0x80000000)
FRAME = 10
#: The registers that a call leaves undefined.
CLOBBERED = frozenset(range(1, 6))

_ROWS = tuple(BY_NAME.values())
ARITHMETIC = tuple(row for row in _ROWS if isinstance(row.meaning, Alu | Swap) and row.opcode & 0xF0 != 0xB0)
MOVES = tuple(row for row in _ROWS if isinstance(row.meaning, Alu) and row.opcode & 0xF0 == 0xB0)
BRANCHES = tuple(row for row in _ROWS if isinstance(row.meaning, Branch))
LOADS = tuple(row for row in _ROWS if isinstance(row.meaning, Load))
STORES = tuple(row for row in _ROWS if isinstance(row.meaning, Store))
ATOMICS = tuple(row for row in _ROWS if isinstance(row.meaning, Atomic | LoadAcquire | StoreRelease))
_SHIFTS, _DIVISIONS = (0x60, 0x70, 0xC0), (0x30, 0x90)


class Writer:
    """One program under construction."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.code: list[Instruction] = []
        self.references: dict[int, Reference] = {}
        self.functions: list[FunctionSpec] = []
        self.live: set[int] = set()
        self.busy: set[int] = set()
        #: Registers in use as numbers that must stay what they are: all of them, in the body of a loop.
        self.lasting = False

    # Single instructions.

    def emit(self, name: str, dst: int = 0, src: int = 0, offset: int = 0, imm: int = 0) -> int:
        """Append the instruction of that name; returns its slot."""
        return self.append(BY_NAME[name], dst, src, offset, imm)

    def append(self, row: Row, dst: int = 0, src: int = 0, offset: int = 0, imm: int = 0) -> int:
        """Append an instruction of a row, what the row leaves open from the arguments; returns its slot."""
        self.code.append(
            Instruction(
                row.opcode,
                dst if row.dst is None else row.dst,
                src if row.src is None else row.src,
                offset if row.offset is None else row.offset,
                imm if row.imm is None else row.imm,
            )
        )
        return len(self.code) - 1

    def wide(self, register: int, value: int) -> None:
        """A 64-bit number into a register."""
        self.emit("lddw", register, imm=_signed(value))
        self.code.append(Instruction(0, imm=_signed(value >> 32)))

    def map(self, register: int, name: str, offset: int | None = None) -> None:
        """A map, or an address in its value, into a register."""
        self.references[len(self.code)] = MapReference(name, offset)
        self.emit("lddw_map" if offset is None else "lddw_map_value", register)
        self.code.append(Instruction(0, imm=offset or 0))

    def function(self, register: int, name: str) -> None:
        """The address of a subprogram into a register."""
        self.references[len(self.code)] = FunctionReference(name)
        self.emit("lddw_function", register)
        self.code.append(Instruction(0))

    def land(self, *jumps: int) -> None:
        """Let the jumps at these slots lead to here."""
        for slot in jumps:
            self.code[slot] = replace(self.code[slot], offset=len(self.code) - slot - 1)

    def call(self, number: int) -> None:
        """Call a helper: r0 is its result, r1 to r5 are gone."""
        self.emit("call_helper", imm=number)
        self.live -= CLOBBERED

    # Registers.

    def number(self) -> int:
        """A random immediate, often at the edge of a width."""
        return self.random.choice(EDGES) if self.random.random() < 0.5 else self.random.getrandbits(32) - (1 << 31)

    def one(self) -> int:
        """A register that holds a number."""
        return self.random.choice(sorted(self.live))

    def free(self) -> list[int]:
        """The registers that a pointer may be put into."""
        taken = self.busy | (self.live if self.lasting else set())
        return [register for register in range(10) if register not in taken]

    def give(self, register: int) -> None:
        """Put a number into a register that holds none."""
        kind = self.random.random()
        if kind < 0.4 and self.live:
            row = self.random.choice(MOVES)
            self.append(row, register, self.one(), imm=self.number())
        elif kind < 0.8:
            self.emit("mov64_imm", register, imm=self.number())
        else:
            self.wide(register, self.random.getrandbits(64))
        self.live.add(register)

    @contextmanager
    def pointers(self, count: int, *, saved: bool = False) -> Iterator[list[int]]:
        """Registers to hold pointers for a while, fewer if there are none; ``saved`` ones outlive calls."""
        possible = [register for register in self.free() if not saved or register > 5]
        chosen = self.random.sample(possible, min(count, len(possible)))
        self.live -= set(chosen)
        self.busy |= set(chosen)
        yield chosen
        self.busy -= set(chosen)

    @contextmanager
    def branch(self) -> Iterator[None]:
        """Code that not every path passes: what it leaves without a number has none afterwards."""
        before = set(self.live)
        yield
        self.live &= before

    # Random instructions on what is there.

    def arithmetic(self) -> None:
        """One operation on numbers."""
        if not self.live or self.random.random() < 0.15:
            possible = [register for register in range(10) if register not in self.busy]
            if possible:
                self.give(self.random.choice(possible))
            return
        row = self.random.choice(ARITHMETIC)
        imm = self.number()
        if row.imm is None and isinstance(row.meaning, Alu):
            if row.opcode & 0xF0 in _SHIFTS:
                imm = self.random.randrange(row.meaning.width)
            elif row.opcode & 0xF0 in _DIVISIONS:
                imm = imm or 1
        self.append(row, self.one(), self.one(), imm=imm)

    def jump(self) -> int:
        """A branch on numbers, to be landed; returns its slot."""
        imm = self.number() if self.random.random() < 0.7 else self.random.randrange(256)
        return self.append(self.random.choice(BRANCHES), self.one(), self.one(), imm=imm)

    def load(self, base: int, low: int, high: int, align: bool) -> None:
        """Load from somewhere in ``low`` to ``high`` behind the pointer in ``base``."""
        row = self.random.choice(LOADS)
        place = self._place(row, low, high, align)
        possible = [register for register in range(10) if register not in self.busy]
        if place is None or not possible:
            return
        register = self.random.choice(possible)
        self.append(row, register, base, place)
        self.live.add(register)

    def store(self, base: int, low: int, high: int, align: bool) -> None:
        """Store a number there."""
        row = self.random.choice(STORES)
        place = self._place(row, low, high, align)
        if place is not None and self.live:
            self.append(row, base, self.one(), place, self.number())

    def atomic(self, base: int, low: int, high: int) -> None:
        """An atomic operation there."""
        row = self.random.choice(ATOMICS)
        place = self._place(row, low, high, align=True)
        if place is None or not self.live:
            return
        meaning = row.meaning
        if isinstance(meaning, Atomic) and meaning.result == "r0" and 0 not in self.live:
            return
        number = self.one()
        if isinstance(meaning, LoadAcquire):
            self.append(row, number, base, place)
        else:
            self.append(row, base, number, place)

    def access(self, base: int, low: int, high: int, *, align: bool, atomics: bool) -> None:
        """Any access there."""
        kind = self.random.random()
        if atomics and kind < 0.25:
            self.atomic(base, low, high)
        elif kind < 0.6:
            self.load(base, low, high, align)
        else:
            self.store(base, low, high, align)

    def _place(self, row: Row, low: int, high: int, align: bool) -> int | None:
        size = row.meaning.size  # type: ignore[union-attr]
        first = -(-low // size) * size if align else low
        if first + size > high:
            return None
        return self.random.randrange(first, high - size + 1, size if align else 1)


def _signed(value: int) -> int:
    return (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000

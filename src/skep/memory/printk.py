"""The queue that printed lines go through: programs on all CPUs put them in, Python takes them out.

A bounded queue of many writers and one reader in shared memory. No program ever waits and no Python runs under it: a
line that finds the queue full is dropped and counted. A slot's ``state`` is twice the number of times that the queue
has gone round before it may be written, and one more once it has been; so zeroed memory is an empty queue.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from skep.lang import Array, Ptr, length, offset_of, size_of, struct, u8, u32, u64, view
from skep.memory.cpu import SCRATCH_SIZE, CpuBlock
from skep.memory.region import allocate_zeroed


@struct(align=64)
class PrintkSlot:
    """One line: the time in nanoseconds (of the program's clock) and the CPU that printed it."""

    state: u64
    nanoseconds: u64
    cpu: u32
    size: u32
    text: Array[u8] = length(SCRATCH_SIZE)


@struct(align=64)
class PrintkHead:
    """``tail`` counts the lines put in; there are 2**``bits`` slots."""

    tail: u64
    dropped: u64
    slots: Ptr[PrintkSlot]
    bits: u32


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """What one call of ``bpf_trace_printk`` printed, without the line's end."""

    text: str
    cpu: int
    nanoseconds: int


class PrintkQueue:
    """The queue of one machine, for ``2**bits`` lines that wait to be read."""

    def __init__(self, bits: int = 12) -> None:
        self._size = 1 << bits
        head_size = size_of(PrintkHead)
        self.address, self._memory = allocate_zeroed(head_size + self._size * size_of(PrintkSlot))
        self._slots = self.address + head_size
        self._head: Any = view(PrintkHead, self.address)
        self._head.slots = self._slots  # type: ignore[assignment]
        self._head.bits = bits
        self._bits = bits
        self._taken = 0
        self._text = offset_of(PrintkSlot, "text")

    def attach(self, cpus: CpuBlock) -> None:
        """Let the programs on these CPUs print here."""
        for cpu in cpus:
            cpu.printk = self.address  # type: ignore[assignment]

    @property
    def dropped(self) -> int:
        """How many lines were dropped because nobody read in time."""
        dropped: int = self._head.dropped
        return dropped

    def drain(self) -> list[PrintedLine]:
        """Take out the lines that wait, oldest first."""
        lines: list[PrintedLine] = []
        while True:
            address = self._slots + self._taken % self._size * size_of(PrintkSlot)
            slot: Any = view(PrintkSlot, address)
            round_ = self._taken >> self._bits
            if slot.state != 2 * round_ + 1:
                return lines
            text = ctypes.string_at(address + self._text, slot.size).decode("utf-8", "backslashreplace")
            lines.append(PrintedLine(text, slot.cpu, slot.nanoseconds))
            slot.state = 2 * round_ + 2
            self._taken += 1

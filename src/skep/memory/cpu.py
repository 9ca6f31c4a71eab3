"""What each CPU has of its own: the structure that every program gets as its third parameter.

Programs and helpers reach all per-CPU state through this one pointer: number, tail-call count, random state, clock,
printk queue, the target of the last redirect, and the queue node of the locks. A machine's CPUs lie in one contiguous
array (:class:`CpuBlock`), so that a lock finds the structure of another CPU from its number alone. The structure is
aligned to two cache lines (the unit that x86-64 prefetches), so that CPUs do not disturb each other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import IntEnum

from skep.errors import RequestError
from skep.lang import Array, Ptr, length, size_of, struct, u8, u32, u64, view
from skep.memory.region import AddressSpace, RegionKind, allocate_zeroed

#: How many tail calls one run may make; Linux has had 33 since its first JITs (``MAX_TAIL_CALL_CNT``).
MAX_TAIL_CALLS = 33

#: Bytes that a helper may use between its own first and last instruction; the longest formatted message is one less.
SCRATCH_SIZE = 1024

#: A lock's tail holds a CPU number plus one in 15 bits.
MAX_CPUS = 32767


class ClockMode(IntEnum):
    """Where the time helpers take the time from: the system, or ``virtual_ns`` of the CPU."""

    REAL = 0
    VIRTUAL = 1


@struct(align=128)
class Cpu:
    """One CPU. Times are nanoseconds; ``random_state`` is that of xoshiro128++ and must not be all zero.

    In virtual time every reading of the clock advances ``virtual_ns`` by ``virtual_step_ns`` afterwards.
    ``boot_offset_ns`` is how far virtual boot time is ahead of virtual monotonic time. The ``redirect_…`` fields are
    what the last redirect helper chose: an interface, or an entry (``redirect_key``, its value copied) of a map.
    ``fault_slot`` is one more than the slot where native code gave up, in the program whose entry is
    ``fault_program``; 0 if it did not.
    """

    id: u32
    cpus: u32
    tail_calls: u32
    numa_node: u32
    random_state: Array[u32] = length(4)
    clock_mode: u32
    lock_next: u32
    lock_waiting: u32
    fault_slot: u32
    virtual_ns: u64
    virtual_step_ns: u64
    boot_offset_ns: u64
    printk: Ptr[u8]
    redirect_ifindex: u32
    redirect_kind: u32
    redirect_flags: u64
    redirect_map: Ptr[u8]
    redirect_key: u64
    redirect_value: u64
    scratch: Array[u8] = length(SCRATCH_SIZE)
    fault_program: Ptr[u8]


class CpuBlock:
    """The CPUs of a machine: ``block[2]`` is a view of CPU 2, ``block.address(2)`` what its programs get.

    Random states are derived from ``seed``; None takes one from the system, so that no two runs are alike.
    """

    def __init__(self, count: int, space: AddressSpace | None = None, *, seed: int | None = None) -> None:
        if not 1 <= count <= MAX_CPUS:
            raise RequestError(f"a machine has 1 to {MAX_CPUS} CPUs, not {count}")
        self.count = count
        self._stride = size_of(Cpu)
        self.start: int
        if space is not None:
            # Helpers write it, programs never do.
            region = space.allocate("CPUs", count * self._stride, RegionKind.CPU, writable=False, align=128)
            self.start = region.address
        else:
            self.start, self._memory = allocate_zeroed(count * self._stride, 128)
        self.seed(seed)
        for number, cpu in enumerate(self):
            cpu.id = number
            cpu.cpus = count

    def address(self, number: int) -> int:
        """The address of CPU ``number``; raises RequestError if there is no such CPU."""
        if not 0 <= number < self.count:
            raise RequestError(f"there is no CPU {number}; this machine has CPUs 0 to {self.count - 1}")
        return self.start + number * self._stride

    def __getitem__(self, number: int) -> Cpu:
        return view(Cpu, self.address(number), self)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Cpu]:
        return (self[number] for number in range(self.count))

    def seed(self, seed: int | None) -> None:
        """Start the random numbers of every CPU anew from ``seed``, each with a sequence of its own."""
        source = random.Random(seed)
        for cpu in self:
            for index in range(4):
                cpu.random_state[index] = source.getrandbits(32) | (index == 0)

    def set_time(self, nanoseconds: int, *, step: int = 0, boot_offset: int = 0) -> None:
        """Put every CPU on a virtual clock that shows ``nanoseconds`` and advances by ``step`` at each reading."""
        for cpu in self:
            cpu.clock_mode = ClockMode.VIRTUAL
            cpu.virtual_ns = nanoseconds
            cpu.virtual_step_ns = step
            cpu.boot_offset_ns = boot_offset

    def use_real_time(self) -> None:
        """Put every CPU back on the clocks of the system."""
        for cpu in self:
            cpu.clock_mode = ClockMode.REAL

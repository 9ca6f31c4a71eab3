"""Regions of real memory, and the native layouts that programs, helpers and engines share."""

from __future__ import annotations

from skep.memory.cpu import MAX_TAIL_CALLS, ClockMode, Cpu, CpuBlock
from skep.memory.printk import PrintedLine, PrintkQueue
from skep.memory.region import AddressSpace, Region, RegionKind, allocate_zeroed

__all__ = [
    "MAX_TAIL_CALLS",
    "AddressSpace",
    "ClockMode",
    "Cpu",
    "CpuBlock",
    "PrintedLine",
    "PrintkQueue",
    "Region",
    "RegionKind",
    "allocate_zeroed",
]

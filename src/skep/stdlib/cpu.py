"""Which CPU and which node a program runs on."""

from __future__ import annotations

from skep.lang import Ptr, function, u32
from skep.memory.cpu import Cpu
from skep.stdlib.registry import implements


@implements("bpf_get_smp_processor_id")
@function(inline="always")
def get_smp_processor_id(cpu: Ptr[Cpu]) -> u32:
    """The number of this CPU."""
    return cpu.id


@implements("bpf_get_numa_node_id")
@function(inline="always")
def get_numa_node_id(cpu: Ptr[Cpu]) -> u32:
    """The number of this CPU's memory node."""
    return cpu.numa_node

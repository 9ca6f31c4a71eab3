"""Printing: ``bpf_trace_printk`` and ``bpf_trace_vprintk`` into the queue of the machine, ``bpf_snprintf`` into
memory.

The text is made in the CPU's scratch memory and then put into a queue that Python reads (:mod:`skep.memory.printk`);
a CPU without a queue prints nowhere. The result is the length of the whole text, whatever was kept of it.
"""

from __future__ import annotations

import errno

from skep.lang import (
    ACQ_REL,
    ACQUIRE,
    RELAXED,
    RELEASE,
    Array,
    Ptr,
    address_of,
    atomic_add,
    atomic_compare_exchange,
    atomic_load,
    atomic_store,
    cast,
    function,
    i64,
    length,
    memory_copy,
    offset,
    struct,
    u8,
    u32,
    u64,
)
from skep.memory.cpu import SCRATCH_SIZE, Cpu
from skep.memory.printk import PrintkHead
from skep.stdlib.registry import implements
from skep.stdlib.text_format import Output, format_text
from skep.stdlib.time import ktime_get_ns

#: How many arguments ``bpf_trace_printk`` has, and at most the others.
TRACE_ARGUMENTS = 3
MAX_ARGUMENTS = 12

_EINVAL = -errno.EINVAL


@struct
class _Arguments:
    words: Array[u64] = length(MAX_ARGUMENTS)


@function(inline="never")
def _enqueue(cpu: Ptr[Cpu], text: Ptr[u8], size: u32) -> None:
    queue = cast(Ptr[PrintkHead], cpu.printk)
    if not queue:
        return
    mask = (u64(1) << u64(queue.bits)) - 1
    position = atomic_load(address_of(queue.tail), RELAXED)
    while True:
        slot = offset(queue.slots, position & mask)
        free = (position >> u64(queue.bits)) * 2
        state = atomic_load(address_of(slot.state), ACQUIRE)
        if state == free:
            seen = atomic_compare_exchange(address_of(queue.tail), position, position + 1, ACQ_REL)
            if seen == position:
                slot.nanoseconds = ktime_get_ns(cpu)
                slot.cpu = cpu.id
                slot.size = size
                memory_copy(address_of(slot.text[0]), text, size)
                atomic_store(address_of(slot.state), free + 1, RELEASE)
                return
            position = seen
        elif state < free:
            atomic_add(address_of(queue.dropped), u64(1), RELAXED)
            return
        else:
            position = atomic_load(address_of(queue.tail), RELAXED)


@function(inline="never")
def _print(cpu: Ptr[Cpu], format: Ptr[u8], format_size: u32, arguments: Ptr[u64], count: u32) -> i64:
    out = Output()
    out.at = address_of(cpu.scratch[0])
    out.capacity = u32(SCRATCH_SIZE)
    error = format_text(address_of(out), format, format_size, arguments, count)
    if error != 0:
        return error
    kept = out.size
    if kept > SCRATCH_SIZE - 1:
        kept = u32(SCRATCH_SIZE - 1)
    _enqueue(cpu, out.at, kept)
    return i64(out.size)


@implements("bpf_trace_printk")
@function
def trace_printk(cpu: Ptr[Cpu], format: Ptr[u8], format_size: u32, first: u64, second: u64, third: u64) -> i64:
    """The length of the text, or -EINVAL."""
    arguments = _Arguments()
    arguments.words[0] = first
    arguments.words[1] = second
    arguments.words[2] = third
    return _print(cpu, format, format_size, address_of(arguments.words[0]), u32(TRACE_ARGUMENTS))


@function(inline="always")
def _is_bad(data: Ptr[u8], size: u32) -> bool:
    return size & 7 != 0 or size > 8 * MAX_ARGUMENTS or (size != 0 and not data)


@implements("bpf_trace_vprintk")
@function
def trace_vprintk(cpu: Ptr[Cpu], format: Ptr[u8], format_size: u32, data: Ptr[u8], data_size: u32) -> i64:
    """The same with arguments in memory, eight bytes each."""
    if _is_bad(data, data_size):
        return i64(_EINVAL)
    arguments = _Arguments()
    memory_copy(address_of(arguments.words[0]), data, data_size)
    return _print(cpu, format, format_size, address_of(arguments.words[0]), data_size >> 3)


@implements("bpf_snprintf")
@function
def snprintf(text: Ptr[u8], size: u32, format: Ptr[u8], data: Ptr[u8], data_size: u32) -> i64:
    """The length of the text and its closing zero, whatever of it ``text`` had room for, or -EINVAL."""
    if _is_bad(data, data_size):
        return i64(_EINVAL)
    arguments = _Arguments()
    memory_copy(address_of(arguments.words[0]), data, data_size)
    out = Output()
    out.at = text
    out.capacity = size
    error = format_text(address_of(out), format, u32(0xFFFFFFFF), address_of(arguments.words[0]), data_size >> 3)
    if error != 0:
        return error
    if size != 0:
        text[out.size if out.size < size else size - 1] = u8(0)
    return i64(out.size) + 1

"""``bpf_tail_call``: where a program goes on for good.

The function decides and counts; the jump itself is the engine's. As in Linux's JITs since 6.12 a call counts towards
the limit of 33 only if there is a program in the slot.
"""

from __future__ import annotations

from typing import Any

from skep.errors import UnsupportedError
from skep.lang import ACQUIRE, Function, Ptr, address_of, atomic_load, cast, function, null, u8, u32, u64
from skep.maps.layout import MapHead
from skep.memory.cpu import MAX_TAIL_CALLS, Cpu
from skep.objects.kinds import MapType
from skep.stdlib.registry import CallSite, implements

_PROG_ARRAY = int(MapType.PROG_ARRAY)


@function(inline="always")
def _target(
    cpu: Ptr[Cpu], values: Ptr[u8], context: Ptr[u8], map: Ptr[MapHead], index: u32, max_entries: u32
) -> Ptr[u8]:
    """The native entry of the program at ``index``, or null if the call falls through."""
    if index >= max_entries or cpu.tail_calls >= MAX_TAIL_CALLS:
        return null(u8)
    entry = atomic_load(address_of(cast(Ptr[u64], values)[index]), ACQUIRE)
    if entry != 0:
        cpu.tail_calls += 1
    return cast(Ptr[u8], entry)


@function
def _target_in_any(cpu: Ptr[Cpu], context: Ptr[u8], map: Ptr[MapHead], index: u32) -> Ptr[u8]:
    if map.type != _PROG_ARRAY:
        return null(u8)
    return _target(cpu, map.values, context, map, index, map.max_entries)


@implements("bpf_tail_call")
def tail_call(site: CallSite) -> Function[..., Any]:
    """The native entry to jump to, or null to go on behind the call."""
    if site.map is None:
        return _target_in_any
    if site.map.type is not MapType.PROG_ARRAY:
        raise UnsupportedError(
            f"bpf_tail_call needs a program array, and map {site.map.name} is of type {site.map.type.label}"
        )
    return _target.specialise(max_entries=site.map.max_entries)

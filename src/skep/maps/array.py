"""Arrays: values at equal distances, found by a bounds check and an address; plain, per CPU, and of programs.

A lookup in an array that is known touches nothing but the key and ``values``, the address of element 0, which
compiled code has as a symbol; with the number of entries and the stride as constants that is four or five
instructions. Values never move and are never removed. Rules of an update: the kernel's ``array_map_update_elem``, as
observed.
"""

from __future__ import annotations

import errno

from skep.lang import (
    Ptr,
    assume,
    function,
    i64,
    likely,
    load_unaligned,
    memory_copy,
    null,
    offset,
    u8,
    u32,
    u64,
    unlikely,
)
from skep.maps.layout import NO_LOCK, MapHead
from skep.maps.value import LockFunction, copy_value, copy_value_locked
from skep.memory.cpu import Cpu

_NOEXIST = 1
_EXIST = 2
_WITH_LOCK = 4

_E2BIG = -errno.E2BIG
_EEXIST = -errno.EEXIST
_EINVAL = -errno.EINVAL


@function(inline="always")
def lookup(values: Ptr[u8], map: Ptr[MapHead], key: Ptr[u32], max_entries: u32, stride: u32) -> Ptr[u8]:
    """The address of the value at an index, or null behind the last."""
    index = load_unaligned(key)
    if likely(index < max_entries):
        place = offset(values, u64(index) * u64(stride))
        # A program asks whether it found something: where the index cannot be out of range, not even that is left.
        assume(bool(place))
        return place
    return null(u8)


@function(inline="always")
def lookup_per_cpu(
    cpu: Ptr[Cpu],
    values: Ptr[u8],
    map: Ptr[MapHead],
    key: Ptr[u32],
    max_entries: u32,
    stride: u32,
    cpu_stride: u64,
) -> Ptr[u8]:
    """The address of this CPU's value at an index, or null behind the last."""
    return lookup(offset(values, u64(cpu.id) * cpu_stride), map, key, max_entries, stride)


@function(inline="always")
def update(
    values: Ptr[u8],
    map: Ptr[MapHead],
    key: Ptr[u32],
    value: Ptr[u8],
    flags: u64,
    max_entries: u32,
    stride: u32,
    value_size: u32,
    lock_offset: u32,
    acquire: LockFunction,
    release: LockFunction,
) -> i64:
    """Store a value at an index; 0 or a negative error number."""
    if unlikely(flags & ~u64(_WITH_LOCK) > _EXIST):
        return i64(_EINVAL)
    target = lookup(values, map, key, max_entries, stride)
    if unlikely(not target):
        return i64(_E2BIG)
    if unlikely(flags & _NOEXIST != 0):
        return i64(_EEXIST)
    if unlikely(flags & _WITH_LOCK != 0):
        if lock_offset == NO_LOCK:
            return i64(_EINVAL)
        copy_value_locked(target, value, value_size, lock_offset, target, acquire, release)
        return i64(0)
    copy_value(target, value, value_size, lock_offset)
    return i64(0)


@function(inline="always")
def update_per_cpu(
    cpu: Ptr[Cpu],
    values: Ptr[u8],
    map: Ptr[MapHead],
    key: Ptr[u32],
    value: Ptr[u8],
    flags: u64,
    max_entries: u32,
    stride: u32,
    cpu_stride: u64,
    value_size: u32,
) -> i64:
    """Store this CPU's value at an index; 0 or a negative error number."""
    if unlikely(flags & ~u64(_WITH_LOCK) > _EXIST):
        return i64(_EINVAL)
    target = lookup_per_cpu(cpu, values, map, key, max_entries, stride, cpu_stride)
    if unlikely(not target):
        return i64(_E2BIG)
    if unlikely(flags & _NOEXIST != 0):
        return i64(_EEXIST)
    if unlikely(flags & _WITH_LOCK != 0):
        return i64(_EINVAL)
    memory_copy(target, value, value_size)
    return i64(0)


@function(inline="always")
def delete(map: Ptr[MapHead], key: Ptr[u8]) -> i64:
    """Refuse: entries of an array are never removed."""
    return i64(_EINVAL)

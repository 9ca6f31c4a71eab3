"""The operations of a hash map: look up, update under the kernel's flags, remove; plain and per CPU.

Sizes are parameters: constants where the map is known, so that hashing, comparing and copying become a few
instructions, and read from the descriptor where it is not. ``stride`` is how far elements, ``value_stride`` how far
per-CPU values are apart. A program that keeps a pointer to a value while another CPU removes the entry may see the
element used again, as in a preallocated map of Linux.

Measured as a C prototype with this layout, against Linux on the same machine: lookup of an 8-byte key among 10,000 in
6 to 17 ns (56), update of a key that is there 12 to 34 (169), insert and delete 31 to 77 (295).
"""

from __future__ import annotations

import errno

from skep.lang import (
    RELEASE,
    Ptr,
    address_of,
    atomic_store,
    function,
    i64,
    likely,
    memory_copy,
    memory_set,
    null,
    offset,
    u8,
    u32,
    u64,
    unlikely,
)
from skep.maps.hash_buckets import (
    fill_hole,
    find,
    home_of,
    link,
    lock_bucket,
    place_of,
    slot_at,
    tag_of,
    unlock_bucket,
)
from skep.maps.hash_elements import give, give_overflow, give_spare, take, take_spare
from skep.maps.hash_layout import HashMap, element
from skep.maps.hashing import hash_key
from skep.maps.layout import NO_LOCK
from skep.maps.value import LockFunction, copy_value_locked, new_value
from skep.memory.cpu import Cpu

_NOEXIST = 1
_EXIST = 2
_WITH_LOCK = 4

_E2BIG = -errno.E2BIG
_EEXIST = -errno.EEXIST
_EINVAL = -errno.EINVAL
_ENOENT = -errno.ENOENT


@function(inline="always")
def value_of(
    map: Ptr[HashMap], index: u32, number: u32, key_size: u32, stride: u32, value_stride: u32, per_cpu: bool
) -> Ptr[u8]:
    """The value of an element: behind its key, or in the memory of CPU ``number``."""
    if per_cpu:
        return offset(map.head.values, u64(number) * map.head.cpu_stride + u64(index) * u64(value_stride))
    return offset(element(map, index, stride), (key_size + 7) & ~u32(7))


@function(inline="always")
def lookup(
    cpu: Ptr[Cpu], map: Ptr[HashMap], key: Ptr[u8], key_size: u32, stride: u32, value_stride: u32, per_cpu: bool
) -> Ptr[u8]:
    """The address of the value of ``key`` (per CPU: of this CPU), or null."""
    index = find(map, key, key_size, stride)
    if index == 0:
        return null(u8)
    number = cpu.id if per_cpu else u32(0)
    return value_of(map, index, number, key_size, stride, value_stride, per_cpu)


@function(inline="always")
def update(
    number: u32,
    map: Ptr[HashMap],
    key: Ptr[u8],
    value: Ptr[u8],
    flags: u64,
    key_size: u32,
    value_size: u32,
    stride: u32,
    lock_offset: u32,
    acquire: LockFunction,
    release: LockFunction,
) -> i64:
    """Store a value for ``key`` under the kernel's rules for ``flags``; 0 or a negative error number."""
    if unlikely(flags & ~u64(_WITH_LOCK) > _EXIST or (flags & _WITH_LOCK != 0 and lock_offset == NO_LOCK)):
        return i64(_EINVAL)
    hash = hash_key(key, key_size, map.seed)
    tag = tag_of(hash)
    home = home_of(map, hash)
    own = number & (map.shard_count - 1)
    value_offset = (key_size + 7) & ~u32(7)
    lock_bucket(home)
    place = place_of(map, home, tag, key, key_size, stride)
    if place:
        if unlikely(flags & _NOEXIST != 0):
            unlock_bucket(home)
            return i64(_EEXIST)
        old = place[0]
        if flags & _WITH_LOCK != 0:
            there = offset(element(map, old, stride), value_offset)
            copy_value_locked(there, value, value_size, lock_offset, there, acquire, release)
            unlock_bucket(home)
            return i64(0)
        spare = take_spare(map, own)
        index = u32(spare)
        fresh = element(map, index, stride)
        memory_copy(fresh, key, key_size)
        new_value(offset(fresh, value_offset), value, value_size, lock_offset)
        atomic_store(place, index, RELEASE)
        unlock_bucket(home)
        give_spare(map, u32(spare >> 32), old)
        return i64(0)
    if unlikely(flags & _EXIST != 0):
        unlock_bucket(home)
        return i64(_ENOENT)
    index = take(map, own)
    if unlikely(index == 0):
        unlock_bucket(home)
        return i64(_E2BIG)
    fresh = element(map, index, stride)
    memory_copy(fresh, key, key_size)
    new_value(offset(fresh, value_offset), value, value_size, lock_offset)
    link(map, home, index, tag)
    unlock_bucket(home)
    return i64(0)


@function(inline="always")
def update_per_cpu(
    number: u32,
    map: Ptr[HashMap],
    key: Ptr[u8],
    value: Ptr[u8],
    flags: u64,
    key_size: u32,
    value_size: u32,
    stride: u32,
    value_stride: u32,
    every_cpu: bool,
) -> i64:
    """Store the value of CPU ``number`` (or, from one value each behind the other, of every CPU), zero for the
    others.
    """
    if unlikely(flags > _EXIST):
        return i64(_EINVAL)
    hash = hash_key(key, key_size, map.seed)
    tag = tag_of(hash)
    home = home_of(map, hash)
    lock_bucket(home)
    place = place_of(map, home, tag, key, key_size, stride)
    error = i64(0)
    if place:
        if flags & _NOEXIST != 0:
            error = i64(_EEXIST)
        else:
            _store_values(map, place[0], number, value, value_size, value_stride, every_cpu, False)
    elif flags & _EXIST != 0:
        error = i64(_ENOENT)
    else:
        index = take(map, number & (map.shard_count - 1))
        if index == 0:
            error = i64(_E2BIG)
        else:
            memory_copy(element(map, index, stride), key, key_size)
            _store_values(map, index, number, value, value_size, value_stride, every_cpu, True)
            link(map, home, index, tag)
    unlock_bucket(home)
    return error


@function
def _store_values(
    map: Ptr[HashMap],
    index: u32,
    number: u32,
    value: Ptr[u8],
    value_size: u32,
    value_stride: u32,
    every_cpu: bool,
    is_new: bool,
) -> None:
    for other in range(map.head.cpus):
        target = value_of(map, index, other, u32(0), u32(0), value_stride, True)
        if every_cpu:
            memory_copy(target, offset(value, u64(other) * u64(value_stride)), value_size)
        elif other == number:
            memory_copy(target, value, value_size)
        elif is_new:
            memory_set(target, 0, value_size)


@function(inline="always")
def delete(number: u32, map: Ptr[HashMap], key: Ptr[u8], key_size: u32, stride: u32) -> i64:
    """Remove ``key``; 0 or -ENOENT."""
    hash = hash_key(key, key_size, map.seed)
    home = home_of(map, hash)
    lock_bucket(home)
    place = place_of(map, home, tag_of(hash), key, key_size, stride)
    if not place:
        unlock_bucket(home)
        return i64(_ENOENT)
    index = place[0]
    emptied = u32(0)
    if likely(home.overflow == 0):
        atomic_store(address_of(home.tags[slot_at(place)]), u8(0), RELEASE)
    else:
        emptied = fill_hole(map, home, place)
    unlock_bucket(home)
    if emptied != 0:
        give_overflow(map, emptied)
    give(map, number & (map.shard_count - 1), index)
    return i64(0)

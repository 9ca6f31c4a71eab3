"""Reading a hash map from outside while programs change it: one value, or all entries.

A value is copied whole and is given only if its bucket did not change meanwhile, because a removed element is used
again. All entries are copied bucket by bucket, each under its lock: what is in the map from start to end is there,
once.
"""

from __future__ import annotations

from skep.lang import (
    ACQUIRE,
    RELAXED,
    Ptr,
    address_of,
    atomic_load,
    cast,
    fence,
    function,
    likely,
    memory_copy,
    offset,
    u8,
    u32,
    u64,
)
from skep.maps.hash_buckets import home_of, lock_bucket, search, tag_of, unlock_bucket
from skep.maps.hash_layout import SLOTS, HashMap, element
from skep.maps.hash_table import value_of
from skep.maps.hashing import hash_key
from skep.maps.value import LockFunction, copy_value_locked


@function
def _copy_values(map: Ptr[HashMap], index: u32, target: Ptr[u8], stride: u32, per_cpu: bool) -> None:
    """All values of an element: its one, or those of all CPUs behind each other, each padded to eight bytes."""
    head = address_of(map.head)
    if per_cpu:
        for number in range(head.cpus):
            source = value_of(map, index, number, head.key_size, stride, head.stride, True)
            memory_copy(offset(target, u64(number) * u64(head.stride)), source, head.stride)
    else:
        source = value_of(map, index, u32(0), head.key_size, stride, head.stride, False)
        memory_copy(target, source, head.value_size)


@function
def copy_out(map: Ptr[HashMap], key: Ptr[u8], target: Ptr[u8], stride: u32, per_cpu: bool) -> bool:
    """Copy the value (or values) of ``key`` to ``target``; False if it is not there."""
    key_size = map.head.key_size
    hash = hash_key(key, key_size, map.seed)
    home = home_of(map, hash)
    while True:
        sequence = atomic_load(address_of(home.sequence), ACQUIRE)
        index = u32(search(map, home, tag_of(hash), key, key_size, stride, False))
        if index != 0:
            _copy_values(map, index, target, stride, per_cpu)
        fence(ACQUIRE)
        if likely(atomic_load(address_of(home.sequence), RELAXED) == sequence):
            return index != 0


@function
def copy_out_locked(
    map: Ptr[HashMap], key: Ptr[u8], target: Ptr[u8], stride: u32, acquire: LockFunction, release: LockFunction
) -> bool:
    """Copy the value of ``key`` to ``target`` while its spin lock is held; False if it is not there.

    The bucket is locked too, so that nobody uses the element for another key, and its lock with it, meanwhile.
    """
    head = address_of(map.head)
    hash = hash_key(key, head.key_size, map.seed)
    home = home_of(map, hash)
    lock_bucket(home)
    index = u32(search(map, home, tag_of(hash), key, head.key_size, stride, False))
    if index != 0:
        source = value_of(map, index, u32(0), head.key_size, stride, head.stride, False)
        copy_value_locked(target, source, head.value_size, head.lock_offset, source, acquire, release)
    unlock_bucket(home)
    return index != 0


@function
def next_used(map: Ptr[HashMap], start: u32, end: u32) -> u32:
    """The first bucket from ``start`` on that holds an entry, or ``end``: most of a large map may be empty."""
    number = start
    while number < end:
        tags = cast(Ptr[u32], offset(map.buckets, number))
        first = atomic_load(address_of(tags[0]), RELAXED) | atomic_load(address_of(tags[1]), RELAXED)
        if (first | atomic_load(address_of(tags[2]), RELAXED)) != 0:
            break
        number += 1
    return number


@function
def export_bucket(
    map: Ptr[HashMap], number: u32, target: Ptr[u8], capacity: u32, entry_size: u32, stride: u32, per_cpu: bool
) -> u32:
    """Copy keys and values of a bucket's chain, ``entry_size`` bytes each, and return how many entries it has.

    If these are more than ``capacity``, only so many were copied: ask again with more room. Values start at the key
    size rounded up to eight.
    """
    home = offset(map.buckets, number)
    value_offset = (map.head.key_size + 7) & ~u32(7)
    entries = u32(0)
    lock_bucket(home)
    bucket = home
    while True:
        for slot in range(SLOTS):
            if bucket.tags[slot] != 0:
                if entries < capacity:
                    index = bucket.index[slot]
                    entry = offset(target, u64(entries) * u64(entry_size))
                    memory_copy(entry, element(map, index, stride), map.head.key_size)
                    _copy_values(map, index, offset(entry, value_offset), stride, per_cpu)
                entries += 1
        if bucket.overflow == 0:
            break
        bucket = offset(map.overflow, bucket.overflow)
    unlock_bucket(home)
    return entries

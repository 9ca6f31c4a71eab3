"""Free elements and overflow buckets of a hash map.

Free elements lie in lists, a shard for each CPU, each with a lock: one list for all halves what two CPUs can do. A
CPU whose list is empty takes from the others; without that the map would seem full while elements are left. "Full"
is said only if no element came back while all lists were found empty one after the other.

Replacing a value needs a second element while both may be seen: every shard keeps a spare for that, as Linux does
for every CPU, so that the values of a full map can be updated.
"""

from __future__ import annotations

from skep.lang import (
    ACQUIRE,
    RELAXED,
    RELEASE,
    Ptr,
    address_of,
    atomic_exchange,
    atomic_load,
    atomic_store,
    function,
    likely,
    offset,
    u32,
    u64,
)
from skep.locks.test_and_set import lock_outside as _lock
from skep.locks.test_and_set import unlock as _unlock
from skep.locks.waiting import wait
from skep.maps.hash_layout import HashMap, Shard


@function(inline="never")
def _take_from(map: Ptr[HashMap], shard: Ptr[Shard]) -> u32:
    """A free element of this shard, or 0."""
    if atomic_load(address_of(shard.head), RELAXED) == 0 and atomic_load(
        address_of(shard.fresh), RELAXED
    ) == atomic_load(address_of(shard.fresh_end), RELAXED):
        return u32(0)
    _lock(address_of(shard.lock))
    index = shard.head
    if index != 0:
        atomic_store(address_of(shard.head), map.links[index], RELAXED)
    elif shard.fresh != shard.fresh_end:
        index = shard.fresh
        atomic_store(address_of(shard.fresh), index + 1, RELAXED)
    _unlock(address_of(shard.lock))
    return index


@function(inline="always")
def take(map: Ptr[HashMap], own: u32) -> u32:
    """A free element, preferably of shard ``own``; 0 if the map is full."""
    index = _take_from(map, offset(map.shards, own))
    if likely(index != 0):
        return index
    return _take_from_others(map, own)


@function(inline="always")
def _returned(map: Ptr[HashMap]) -> u32:
    """How many elements ever came back, modulo 2**32."""
    total = u32(0)
    for number in range(map.shard_count):
        total += atomic_load(address_of(map.shards[number].returned), ACQUIRE)
    return total


@function(inline="never", cold=True)
def _take_from_others(map: Ptr[HashMap], own: u32) -> u32:
    while True:
        before = _returned(map)
        for distance in range(map.shard_count):
            number = own + distance
            if number >= map.shard_count:
                number -= map.shard_count
            index = _take_from(map, offset(map.shards, number))
            if index != 0:
                return index
        if _returned(map) == before:
            return u32(0)


@function(inline="never")
def give(map: Ptr[HashMap], own: u32, index: u32) -> None:
    """Put an element that no bucket leads to any more among the free ones."""
    shard = offset(map.shards, own)
    _lock(address_of(shard.lock))
    map.links[index] = shard.head
    atomic_store(address_of(shard.head), index, RELAXED)
    atomic_store(address_of(shard.returned), shard.returned + 1, RELEASE)
    _unlock(address_of(shard.lock))


@function(inline="always")
def take_spare(map: Ptr[HashMap], own: u32) -> u64:
    """A spare element in the low half, the shard that wants another back for it in the high half."""
    index = atomic_exchange(address_of(offset(map.shards, own).spare), u32(0), ACQUIRE)
    if likely(index != 0):
        return u64(index) | u64(own) << 32
    return _take_spare_of_others(map)


@function(inline="never", cold=True)
def _take_spare_of_others(map: Ptr[HashMap]) -> u64:
    """Whoever took a spare brings one back soon, so there will be one."""
    looks = u32(0)
    while True:
        for number in range(map.shard_count):
            index = atomic_exchange(address_of(map.shards[number].spare), u32(0), ACQUIRE)
            if index != 0:
                return u64(index) | u64(number) << 32
        looks = wait(looks)


@function(inline="always")
def give_spare(map: Ptr[HashMap], shard: u32, index: u32) -> None:
    """Leave a spare where one was taken."""
    atomic_store(address_of(offset(map.shards, shard).spare), index, RELEASE)


@function(inline="never", cold=True)
def take_overflow(map: Ptr[HashMap]) -> u32:
    """An empty overflow bucket. There are enough: chains have no holes, so each holds eleven entries or ends one
    that does.
    """
    _lock(address_of(map.overflow_lock))
    number = map.overflow_head
    if number != 0:
        map.overflow_head = map.overflow[number].index[0]
    else:
        number = map.overflow_fresh
        map.overflow_fresh = number + 1
    _unlock(address_of(map.overflow_lock))
    return number


@function(inline="never", cold=True)
def give_overflow(map: Ptr[HashMap], number: u32) -> None:
    """Take back an overflow bucket that is empty and out of its chain."""
    _lock(address_of(map.overflow_lock))
    atomic_store(address_of(map.overflow[number].index[0]), map.overflow_head, RELAXED)
    map.overflow_head = number
    _unlock(address_of(map.overflow_lock))

"""Buckets of a hash map: searching a chain without a lock, and changing one under its lock.

**Readers take no lock.** A reader notes the sequence of the bucket, scans the tags, compares the keys of the
elements whose tags match, and starts again only if the sequence has changed meanwhile. It need not wait for a writer
(an odd sequence): what a writer does between two values of the sequence is one visible change, so what a reader
found under one value was true at a moment of its search. A removal that has to move another entry of its chain
counts the sequence on in between. An element is used again only after the sequence of its bucket has changed, so a
reader that saw it notices.
"""

from __future__ import annotations

from skep.lang import (
    ACQUIRE,
    RELAXED,
    RELEASE,
    Ptr,
    address_of,
    atomic_compare_exchange,
    atomic_load,
    atomic_store,
    cast,
    fence,
    function,
    likely,
    memory_equal,
    offset,
    size_of,
    trailing_zeros,
    u8,
    u32,
    u64,
    unlikely,
)
from skep.locks.waiting import wait
from skep.maps.hash_elements import take_overflow
from skep.maps.hash_layout import SLOTS, Bucket, HashMap, element
from skep.maps.hashing import hash_key

_LOW_BITS = 0x7F7F7F7F7F7F7F7F
_EACH_BYTE = 0x0101010101010101
#: The twelfth byte of the tags is no slot.
_LAST_SLOTS = 0x00808080


@function(inline="always")
def home_of(map: Ptr[HashMap], hash: u64) -> Ptr[Bucket]:
    """The bucket that a hash belongs to: its highest bits."""
    return offset(map.buckets, hash >> u64(map.shift))


@function(inline="always")
def tag_of(hash: u64) -> u8:
    """Bits that the bucket number does not use, and never 0."""
    tag = u8(hash >> 24)
    return tag if tag != 0 else u8(255)


@function(inline="always")
def _equal_bytes(word: u64, byte: u8) -> u64:
    """The highest bit of every byte of ``word`` that equals ``byte``; exact, no byte disturbs its neighbour."""
    differing = word ^ u64(byte) * u64(_EACH_BYTE)
    return ~(((differing & u64(_LOW_BITS)) + u64(_LOW_BITS)) | differing | u64(_LOW_BITS))


@function(inline="always")
def _slots_with(bucket: Ptr[Bucket], tag: u8) -> u64:
    """The slots whose tag it is, as bits that :func:`_slot_of` numbers: one loop over them instead of two."""
    first = _equal_bytes(atomic_load(cast(Ptr[u64], bucket), RELAXED), tag)
    last = _equal_bytes(u64(atomic_load(cast(Ptr[u32], address_of(bucket.tags[8])), RELAXED)), tag)
    return first >> 7 | (last & u64(_LAST_SLOTS)) >> 6


@function(inline="always")
def _slot_of(slots: u64) -> u64:
    """The slot of the lowest bit: slots 0 to 7 are bits 0, 8, 16 ..., slots 8 to 10 bits 1, 9, 17."""
    bit = trailing_zeros(slots)
    return (bit >> 3) + (bit & 1) * 8


@function(inline="always")
def search(
    map: Ptr[HashMap], home: Ptr[Bucket], tag: u8, key: Ptr[u8], key_size: u32, stride: u32, want_place: bool
) -> u64:
    """The element in the chain that has this key, or where the chain holds its index; 0 if there is none."""
    bucket = home
    while True:
        slots = _slots_with(bucket, tag)
        while slots != 0:
            place = address_of(bucket.index[_slot_of(slots)])
            index = atomic_load(place, ACQUIRE)
            if likely(memory_equal(element(map, index, stride), key, key_size)):
                return u64(place) if want_place else u64(index)
            slots &= slots - 1
        further = atomic_load(address_of(bucket.overflow), ACQUIRE)
        if likely(further == 0):
            return u64(0)
        bucket = offset(map.overflow, further)


@function(inline="always")
def find(map: Ptr[HashMap], key: Ptr[u8], key_size: u32, stride: u32) -> u32:
    """The element that has this key, or 0; takes no lock."""
    hash = hash_key(key, key_size, map.seed)
    home = home_of(map, hash)
    while True:
        sequence = atomic_load(address_of(home.sequence), ACQUIRE)
        index = u32(search(map, home, tag_of(hash), key, key_size, stride, False))
        fence(ACQUIRE)
        if likely(atomic_load(address_of(home.sequence), RELAXED) == sequence):
            return index


# Changing a bucket that is locked.


@function(inline="always")
def lock_bucket(home: Ptr[Bucket]) -> None:
    """Make the sequence odd; readers go on, writers wait."""
    if unlikely(not _try_lock(address_of(home.sequence))):
        _lock_slowly(address_of(home.sequence))
    # What follows must not be seen before the odd sequence; the exchange alone does not promise that.
    fence(RELEASE)


@function(inline="always")
def _try_lock(word: Ptr[u32]) -> bool:
    sequence = atomic_load(word, RELAXED)
    return sequence & 1 == 0 and atomic_compare_exchange(word, sequence, sequence + 1, ACQUIRE) == sequence


@function(inline="never", cold=True)
def _lock_slowly(word: Ptr[u32]) -> None:
    looks = u32(0)
    while not _try_lock(word):
        looks = wait(looks)


@function(inline="always")
def _count_on(home: Ptr[Bucket], by: u32) -> None:
    word = address_of(home.sequence)
    atomic_store(word, atomic_load(word, RELAXED) + by, RELEASE)


@function(inline="always")
def unlock_bucket(home: Ptr[Bucket]) -> None:
    """Make the sequence even again, two more than it was."""
    _count_on(home, u32(1))


@function(inline="always")
def place_of(map: Ptr[HashMap], home: Ptr[Bucket], tag: u8, key: Ptr[u8], key_size: u32, stride: u32) -> Ptr[u32]:
    """Where the chain holds the index of the element with this key, or null."""
    return cast(Ptr[u32], search(map, home, tag, key, key_size, stride, True))


@function(inline="always")
def bucket_at(place: Ptr[u32]) -> Ptr[Bucket]:
    """The bucket in which an index stands."""
    return cast(Ptr[Bucket], u64(place) & ~u64(size_of(Bucket) - 1))


@function(inline="always")
def slot_at(place: Ptr[u32]) -> u32:
    """The slot of its bucket in which an index stands."""
    return u32((u64(place) & u64(size_of(Bucket) - 1)) >> 2) - 4


@function(inline="never")
def link(map: Ptr[HashMap], home: Ptr[Bucket], index: u32, tag: u8) -> None:
    """Give the element a place in the chain, in a new overflow bucket if it is full."""
    bucket = home
    while True:
        free = _slots_with(bucket, u8(0))
        if likely(free != 0):
            slot = u32(_slot_of(free))
            atomic_store(address_of(bucket.index[slot]), index, RELEASE)
            atomic_store(address_of(bucket.tags[slot]), tag, RELEASE)
            return
        if bucket.overflow == 0:
            break
        bucket = offset(map.overflow, bucket.overflow)
    _extend(map, bucket, index, tag)


@function(inline="never", cold=True)
def _extend(map: Ptr[HashMap], bucket: Ptr[Bucket], index: u32, tag: u8) -> None:
    number = take_overflow(map)
    further = offset(map.overflow, number)
    atomic_store(address_of(further.index[0]), index, RELAXED)
    atomic_store(address_of(further.tags[0]), tag, RELAXED)
    atomic_store(address_of(bucket.overflow), number, RELEASE)


@function(inline="never", cold=True)
def fill_hole(map: Ptr[HashMap], home: Ptr[Bucket], place: Ptr[u32]) -> u32:
    """Move the last entry of the chain to ``place``, and return the overflow bucket that this emptied, or 0."""
    before = home
    last = home
    while last.overflow != 0:
        before = last
        last = offset(map.overflow, last.overflow)
    slot = u32(SLOTS - 1)
    while last.tags[slot] == 0:
        slot -= 1
    if address_of(last.index[slot]) != place:
        # A reader between the two finds another key's element under the old tag, and later the sequence changed.
        hole = bucket_at(place)
        atomic_store(place, last.index[slot], RELEASE)
        atomic_store(address_of(hole.tags[slot_at(place)]), last.tags[slot], RELEASE)
        _count_on(home, u32(2))
        fence(RELEASE)
    atomic_store(address_of(last.tags[slot]), u8(0), RELEASE)
    if slot != 0:
        return u32(0)
    emptied = before.overflow
    atomic_store(address_of(before.overflow), u32(0), RELEASE)
    return emptied

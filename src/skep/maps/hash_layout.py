"""How a hash map lies in memory: descriptor, buckets, shards of free elements.

A bucket is one 64-byte cache line: eleven one-byte tags (0: empty), a word that is both lock and sequence number,
eleven element indices, and the number of an overflow bucket. A lookup touches that line and the element, nothing
else. The elements hold key and value; they never move and are known by index, from 1.
"""

from __future__ import annotations

from skep.lang import Array, Ptr, function, length, offset, struct, u8, u32, u64
from skep.maps.layout import MapHead

#: Entries in a bucket.
SLOTS = 11


@struct(align=64)
class Bucket:
    """One cache line. The twelfth tag is always 0; ``index[0]`` of an unused overflow bucket leads to the next."""

    tags: Array[u8] = length(12)
    sequence: u32
    index: Array[u32] = length(SLOTS)
    overflow: u32


@struct(align=64)
class Shard:
    """Free elements of one CPU: a list through ``links``, those never used (from ``fresh`` on), and a spare."""

    lock: u32
    head: u32
    fresh: u32
    fresh_end: u32
    returned: u32
    spare: u32


@struct(align=64)
class HashMap:
    """The descriptor. Element and overflow bucket 0 do not exist; ``shift`` is 64 minus the bits of a bucket number.

    ``shard_count`` is a power of two. The value of element ``i`` follows its key, padded to eight; in a per-CPU map
    it lies at ``head.values`` instead.
    """

    head: MapHead
    buckets: Ptr[Bucket]
    overflow: Ptr[Bucket]
    elements: Ptr[u8]
    links: Ptr[u32]
    shards: Ptr[Shard]
    seed: u64
    shift: u32
    shard_count: u32
    element_stride: u32
    overflow_lock: u32
    overflow_head: u32
    overflow_fresh: u32


@function(inline="always")
def element(map: Ptr[HashMap], index: u32, stride: u32) -> Ptr[u8]:
    """The address of element ``index``, where its key is."""
    return offset(map.elements, u64(index) * u64(stride))

"""Internet checksums (RFC 1071): differences of data, and fields of packets kept right as the data change.

A sum is folded with its carries ("one's complement"), and folding never turns a sum that is not 0 into 0, so that
any order of adding gives the kernel's result bit by bit. Packets here were never summed by a device (CHECKSUM_NONE),
as in BPF_PROG_TEST_RUN.
"""

from __future__ import annotations

import errno

from skep.lang import (
    Ptr,
    address_of,
    array,
    cast,
    function,
    i64,
    load_unaligned,
    offset,
    store_unaligned,
    u8,
    u16,
    u32,
    u64,
    unlikely,
)
from skep.memory.contexts import SkbContext
from skep.stdlib.registry import implements
from skep.stdlib.skb import holds

_EACCES = -errno.EACCES
_EFAULT = -errno.EFAULT
_EINVAL = -errno.EINVAL
#: ENOTSUPP, which is the kernel's own and not in ``errno``.
_ENOTSUPP = -524

_FIELD_SIZE = 0xF
_PSEUDO_HEADER = 1 << 4
_MARK_MANGLED_0 = 1 << 5
_MARK_ENFORCE = 1 << 6
_IPV6 = 1 << 7
_MANGLED_0 = 0xFFFF
_LARGEST_OFFSET = 0xFFFF

_LEVEL_QUERY = 0
_LEVEL_INCREASE = 1
_LEVEL_DECREASE = 2
_LEVEL_RESET = 3
_DEEPEST_LEVEL = 3


@function(inline="always")
def fold32(total: u64) -> u32:
    """A sum of 32-bit words with its carries added back in."""
    once = (total >> 32) + (total & 0xFFFFFFFF)
    return u32((once >> 32) + (once & 0xFFFFFFFF))


@function(inline="always")
def add(left: u32, right: u32) -> u32:
    """The one's complement sum."""
    return fold32(u64(left) + u64(right))


@function(inline="always")
def fold16(total: u32) -> u16:
    """A sum of 16-bit words with its carries added back in, not complemented."""
    once = (total >> 16) + (total & 0xFFFF)
    return u16((once >> 16) + (once & 0xFFFF))


@function(inline="always")
def partial(data: Ptr[u8], size: u32, seed: u32) -> u32:
    """``seed`` plus all words of ``data``, of which the last is completed by zeros."""
    total: u64 = u64(seed)
    for word in range(size >> 2):
        total += u64(load_unaligned(cast(Ptr[u32], offset(data, word * 4))))
    if size & 3 != 0:
        last = array(u8, 4)
        for byte in range(size & 3):
            last[byte] = data[(size & ~u32(3)) + byte]
        total += u64(load_unaligned(cast(Ptr[u32], address_of(last))))
    return fold32(total)


@implements("bpf_csum_diff")
@function(inline="always")
def csum_diff(source: Ptr[u8], source_size: u32, target: Ptr[u8], target_size: u32, seed: u32) -> i64:
    """``seed`` minus the sum of the first data plus that of the second, in 16 bits; data of size 0 may be null."""
    if target_size == 0:
        # Subtracted like this, what comes to nothing is 0 and never all ones.
        return i64(fold16(~partial(source, source_size, ~seed) if source_size != 0 else seed))
    result = partial(target, target_size, seed)
    if source_size != 0:
        result = add(result, ~partial(source, source_size, 0))
    return i64(fold16(result))


@function(inline="always")
def _replaced_by_difference(old: u16, difference: u32) -> u16:
    return ~fold16(add(difference, ~u32(old)))


@function(inline="always")
def _add16(left: u16, right: u16) -> u16:
    total = left + right
    return total + u16(total < right)


@function(inline="always")
def _replaced2(old: u16, before: u16, after: u16) -> u16:
    return ~_add16(_add16(~old, ~before), after)


@function(inline="always")
def _replaced4(old: u16, before: u32, after: u32) -> u16:
    return ~fold16(add(add(~u32(old), ~before), after))


@implements("bpf_l3_csum_replace")
@function(inline="always")
def l3_csum_replace(skb: Ptr[SkbContext], at: u32, before: u64, after: u64, flags: u64) -> i64:
    """Keep the checksum at ``at`` right: a field of 2 or 4 bytes (``flags``) changed, or by a difference (0)."""
    if unlikely(flags & ~u64(_FIELD_SIZE) != 0):
        return i64(_EINVAL)
    if unlikely(at > _LARGEST_OFFSET or at & 1 != 0 or not holds(skb, at, 2)):
        return i64(_EFAULT)
    place = cast(Ptr[u16], offset(skb.data, at))
    old = load_unaligned(place)
    if flags == 0:
        if unlikely(before != 0):
            return i64(_EINVAL)
        store_unaligned(place, _replaced_by_difference(old, u32(after)))
    elif flags == 2:
        store_unaligned(place, _replaced2(old, u16(before), u16(after)))
    elif flags == 4:
        store_unaligned(place, _replaced4(old, u32(before), u32(after)))
    else:
        return i64(_EINVAL)
    return i64(0)


@implements("bpf_l4_csum_replace")
@function(inline="always")
def l4_csum_replace(skb: Ptr[SkbContext], at: u32, before: u64, after: u64, flags: u64) -> i64:
    """As :func:`l3_csum_replace`, for TCP and UDP: a UDP checksum of 0 means none and may be left alone by a flag."""
    allowed = u64(_FIELD_SIZE | _PSEUDO_HEADER | _MARK_MANGLED_0 | _MARK_ENFORCE | _IPV6)
    if unlikely(flags & ~allowed != 0):
        return i64(_EINVAL)
    if unlikely(at > _LARGEST_OFFSET or at & 1 != 0 or not holds(skb, at, 2)):
        return i64(_EFAULT)
    place = cast(Ptr[u16], offset(skb.data, at))
    old = load_unaligned(place)
    mark = flags & _MARK_MANGLED_0 != 0
    if mark and flags & _MARK_ENFORCE == 0 and old == 0:
        return i64(0)
    size = flags & _FIELD_SIZE
    new: u16 = 0
    if size == 0:
        if unlikely(before != 0):
            return i64(_EINVAL)
        new = _replaced_by_difference(old, u32(after))
    elif size == 2:
        new = _replaced4(old, u32(u16(before)), u32(u16(after)))
    elif size == 4:
        new = _replaced4(old, u32(before), u32(after))
    else:
        return i64(_EINVAL)
    if mark and new == 0:
        new = _MANGLED_0
    store_unaligned(place, new)
    return i64(0)


@implements("bpf_csum_update")
@function(inline="always")
def csum_update(skb: Ptr[SkbContext], difference: u32) -> i64:
    """Refuse: there is no sum of the whole packet to update."""
    return i64(_ENOTSUPP)


@implements("bpf_csum_level")
@function(inline="always")
def csum_level(skb: Ptr[SkbContext], operation: u64) -> i64:
    """How many nested checksums are known to be right: ask, one more, one less, none."""
    level = skb.checksum_level
    if operation == _LEVEL_QUERY:
        return i64(level) - 1 if level != 0 else i64(_EACCES)
    if operation == _LEVEL_INCREASE:
        if level <= _DEEPEST_LEVEL:
            skb.checksum_level = level + 1
    elif operation == _LEVEL_DECREASE:
        if level != 0:
            skb.checksum_level = level - 1
    elif operation == _LEVEL_RESET:
        skb.checksum_level = 0
    else:
        return i64(_EINVAL)
    return i64(0)

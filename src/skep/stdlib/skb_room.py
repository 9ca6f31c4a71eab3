"""Helpers that make a packet longer or shorter: at its head, at its tail, behind its link-layer or network header.

The packet lies in one buffer with room around it. Where the room before it does not suffice, everything moves towards
the end, so that a packet can grow as far as the kernel lets it. Behaviour, limits and error numbers are those that
Linux 6.18 shows (``tests/stdlib/test_packet_room.py`` compares, input by input).
"""

from __future__ import annotations

import errno

from skep.lang import (
    Ptr,
    big_endian,
    function,
    i32,
    i64,
    memory_move,
    memory_set,
    offset,
    u8,
    u16,
    u32,
    u64,
    unlikely,
)
from skep.memory.contexts import SkbContext
from skep.stdlib.registry import implements
from skep.stdlib.skb import ETH_P_IP, ETH_P_IPV6, forget_hash, protocol_of

_EALREADY = -errno.EALREADY
_EFAULT = -errno.EFAULT
_EINVAL = -errno.EINVAL
_ENOMEM = -errno.ENOMEM
#: ENOTSUPP, which is the kernel's own and not in ``errno``.
_ENOTSUPP = -524

#: No helper makes a packet longer than four pages less ``struct skb_shared_info``, unless it is segmented later.
_LONGEST = 4 * 4096 - 320
_IPV4_HEADER = 20
_IPV6_HEADER = 40
_ETHERNET_HEADER = 14
_LARGEST_STEP = 0xFFF

_MODE_NET = 0
_MODE_MAC = 1
_FIXED_GSO = 1 << 0
_ENCAP_L3_IPV4 = 1 << 1
_ENCAP_L3_IPV6 = 1 << 2
_ENCAP_L4_GRE = 1 << 3
_ENCAP_L4_UDP = 1 << 4
_NO_CSUM_RESET = 1 << 5
_ENCAP_L2_ETH = 1 << 6
_DECAP_L3_IPV4 = 1 << 7
_DECAP_L3_IPV6 = 1 << 8
_ENCAP_L2_SHIFT = 56
_ENCAP_L3 = _ENCAP_L3_IPV4 | _ENCAP_L3_IPV6
_DECAP_L3 = _DECAP_L3_IPV4 | _DECAP_L3_IPV6
_ROOM_FLAGS = (
    _FIXED_GSO | _ENCAP_L3 | _ENCAP_L4_GRE | _ENCAP_L4_UDP | _ENCAP_L2_ETH | _DECAP_L3 | 0xFF << _ENCAP_L2_SHIFT
)
_SHRINK_FLAGS = _FIXED_GSO | _DECAP_L3 | _NO_CSUM_RESET


@function(inline="always")
def _shifted(pointer: Ptr[u8], by: u64) -> Ptr[u8]:
    return offset(pointer, by) if pointer else pointer


@function(inline="never", cold=True)
def _move_towards_end(skb: Ptr[SkbContext], size: u64) -> bool:
    low = skb.mac_header if u64(skb.mac_header) < u64(skb.data) else skb.data
    used = u64(skb.data_end) - u64(low)
    if u64(skb.hard_start) + size + used > u64(skb.hard_end):
        return False
    target = offset(skb.hard_start, size)
    by = u64(target) - u64(low)
    memory_move(target, low, used)
    skb.data = _shifted(skb.data, by)
    skb.data_end = _shifted(skb.data_end, by)
    skb.mac_header = _shifted(skb.mac_header, by)
    skb.network_header = _shifted(skb.network_header, by)
    skb.transport_header = _shifted(skb.transport_header, by)
    return True


@function(inline="always")
def has_headroom(skb: Ptr[SkbContext], size: u64) -> bool:
    """Whether there are ``size`` free bytes before the packet, the packet having been moved if need be."""
    if u64(skb.data) - u64(skb.hard_start) >= size:
        return True
    return _move_towards_end(skb, size)


@function(inline="always")
def settle(skb: Ptr[SkbContext]) -> None:
    """Bring what follows from ``data`` and ``data_end`` up to date: the length, and that there is no metadata."""
    skb.len = u32(u64(skb.data_end) - u64(skb.data))
    skb.data_meta = skb.data


@function(inline="always")
def insert(skb: Ptr[SkbContext], at: u32, size: u32) -> bool:
    """Put ``size`` zero bytes at ``at``, moving what is before them; False if there is no room."""
    if unlikely(not has_headroom(skb, u64(size))):
        return False
    same = u64(skb.transport_header) == u64(skb.network_header)
    by = -u64(size)
    data = offset(skb.data, by)
    memory_move(data, skb.data, u64(at))
    memory_set(offset(data, at), 0, u64(size))
    skb.data = data
    skb.mac_header = offset(skb.mac_header, by)
    skb.network_header = offset(skb.network_header, by)
    if same:
        skb.transport_header = skb.network_header
    settle(skb)
    return True


@function(inline="always")
def remove(skb: Ptr[SkbContext], at: u32, size: u32) -> bool:
    """Take ``size`` bytes away at ``at``, moving what is before them; False if the packet has not so many."""
    if unlikely(u64(at) + u64(size) > u64(skb.len)):
        return False
    same = u64(skb.transport_header) == u64(skb.network_header)
    data = offset(skb.data, size)
    memory_move(data, skb.data, u64(at))
    skb.data = data
    skb.mac_header = offset(skb.mac_header, size)
    skb.network_header = offset(skb.network_header, size)
    if same:
        skb.transport_header = skb.network_header
    settle(skb)
    return True


@function(inline="always")
def link_length(skb: Ptr[SkbContext]) -> u32:
    """The bytes from the link-layer header to the network header."""
    return u32(u64(skb.network_header) - u64(skb.mac_header))


@implements("bpf_skb_change_head")
@function(inline="never")
def skb_change_head(skb: Ptr[SkbContext], size: u32, flags: u64) -> i64:
    """Put ``size`` zero bytes before the packet, where its link-layer header then starts."""
    length = skb.len + size
    too_long = skb.gso_size == 0 and length > _LONGEST
    if unlikely(flags != 0 or i32(size) < 0 or too_long or length < skb.len):
        return i64(_EINVAL)
    if unlikely(not has_headroom(skb, u64(size))):
        return i64(_ENOMEM)
    skb.data = offset(skb.data, -u64(size))
    memory_set(skb.data, 0, u64(size))
    skb.mac_header = skb.data
    settle(skb)
    return i64(0)


@function(inline="always")
def _shortest(skb: Ptr[SkbContext]) -> u32:
    shortest: u32 = 0
    if u64(skb.network_header) > u64(skb.data):
        shortest = u32(u64(skb.network_header) - u64(skb.data))
    if u64(skb.transport_header) > u64(skb.data):
        shortest = u32(u64(skb.transport_header) - u64(skb.data))
    return shortest


@implements("bpf_skb_change_tail")
@function(inline="never")
def skb_change_tail(skb: Ptr[SkbContext], length: u32, flags: u64) -> i64:
    """Make the packet ``length`` bytes long, no shorter than its headers; what it grows by is zeroed."""
    if unlikely(flags != 0 or length > _LONGEST or length < _shortest(skb)):
        return i64(_EINVAL)
    if unlikely(skb.encapsulation != 0):
        return i64(_ENOTSUPP)
    if length > skb.len:
        more = u64(length - skb.len)
        if u64(skb.hard_end) - u64(skb.data_end) < more:
            return i64(_ENOMEM)
        memory_set(skb.data_end, 0, more)
    skb.data_end = offset(skb.data, length)
    skb.gso_size = 0
    skb.gso_segs = 0
    settle(skb)
    return i64(0)


@implements("bpf_skb_change_proto")
@function(inline="never")
def skb_change_proto(skb: Ptr[SkbContext], protocol: u16, flags: u64) -> i64:
    """Make an IPv4 packet one of IPv6 or back: only the room for the header changes, the program fills it in."""
    if unlikely(flags != 0):
        return i64(_EINVAL)
    before = protocol_of(skb)
    after = big_endian(protocol)
    at = link_length(skb)
    if before == ETH_P_IP and after == ETH_P_IPV6:
        if not insert(skb, at, _IPV6_HEADER - _IPV4_HEADER):
            return i64(_ENOMEM)
    elif before == ETH_P_IPV6 and after == ETH_P_IP:
        if not remove(skb, at, _IPV6_HEADER - _IPV4_HEADER):
            return i64(_ENOMEM)
    else:
        return i64(_ENOTSUPP)
    skb.protocol = u32(protocol)
    forget_hash(skb)
    return i64(0)


@function(inline="always")
def _set_protocol(skb: Ptr[SkbContext], protocol: u16) -> None:
    skb.protocol = u32(big_endian(protocol))


@function(inline="always")
def _refused_encapsulation(skb: Ptr[SkbContext], size: u32, flags: u64) -> i64:
    inner_link = flags >> _ENCAP_L2_SHIFT
    if flags & _ENCAP_L3 == _ENCAP_L3:
        return i64(_EINVAL)
    if flags & (_ENCAP_L4_GRE | _ENCAP_L4_UDP) == _ENCAP_L4_GRE | _ENCAP_L4_UDP:
        return i64(_EINVAL)
    if flags & _ENCAP_L2_ETH != 0 and inner_link < _ETHERNET_HEADER:
        return i64(_EINVAL)
    if skb.encapsulation != 0:
        return i64(_EALREADY)
    if inner_link > u64(size):
        return i64(_EINVAL)
    return i64(0)


@function(inline="always")
def _grow(skb: Ptr[SkbContext], at: u32, size: u32, flags: u64) -> i64:
    if skb.gso_size != 0:
        return i64(_ENOTSUPP)
    encapsulates = flags & _ENCAP_L3 != 0
    link = link_length(skb)
    if encapsulates:
        refusal = _refused_encapsulation(skb, size, flags)
        if refusal != 0:
            return refusal
    if not insert(skb, at, size):
        return i64(_ENOMEM)
    if encapsulates:
        skb.encapsulation = 1
        skb.network_header = offset(skb.data, link)
        header: u32 = _IPV6_HEADER if flags & _ENCAP_L3_IPV6 != 0 else _IPV4_HEADER
        if flags & (_ENCAP_L4_GRE | _ENCAP_L4_UDP) != 0:
            skb.transport_header = offset(skb.data, link + header)
        _set_protocol(skb, ETH_P_IPV6 if flags & _ENCAP_L3_IPV6 != 0 else ETH_P_IP)
    return i64(0)


@function(inline="always")
def _shrink(skb: Ptr[SkbContext], at: u32, size: u32, flags: u64) -> i64:
    if flags & ~u64(_SHRINK_FLAGS) != 0:
        return i64(_EINVAL)
    if skb.gso_size != 0:
        return i64(_ENOTSUPP)
    if not remove(skb, at, size):
        return i64(_ENOMEM)
    if flags & _DECAP_L3_IPV6 != 0:
        _set_protocol(skb, ETH_P_IPV6)
    elif flags & _DECAP_L3_IPV4 != 0:
        _set_protocol(skb, ETH_P_IP)
    return i64(0)


@implements("bpf_skb_adjust_room")
@function(inline="never")
def skb_adjust_room(skb: Ptr[SkbContext], difference: i32, mode: u32, flags: u64) -> i64:
    """Make room behind the network (mode 0) or link-layer header (mode 1) of an IP packet, or take some away."""
    if unlikely(flags & ~u64(_ROOM_FLAGS | _NO_CSUM_RESET) != 0):
        return i64(_EINVAL)
    shrinks = difference < 0
    size = u32(-difference) if shrinks else u32(difference)
    if unlikely(size > _LARGEST_STEP):
        return i64(_EFAULT)
    protocol = protocol_of(skb)
    if unlikely(protocol != ETH_P_IP and protocol != ETH_P_IPV6):
        return i64(_ENOTSUPP)
    base: u32 = _IPV4_HEADER if protocol == ETH_P_IP else _IPV6_HEADER
    shortest = base
    at = link_length(skb)
    if mode == _MODE_NET:
        at += base
    elif mode != _MODE_MAC:
        return i64(_ENOTSUPP)
    if flags & _DECAP_L3 != 0:
        if not shrinks or flags & _DECAP_L3 == _DECAP_L3:
            return i64(_EINVAL)
        shortest = _IPV4_HEADER if flags & _DECAP_L3_IPV4 != 0 else _IPV6_HEADER
    behind = u32(u64(skb.data_end) - u64(skb.network_header))
    if shrinks:
        if size >= behind or behind - size < shortest:
            return i64(_ENOTSUPP)
    elif skb.len + size > _LONGEST and skb.gso_size == 0:
        return i64(_ENOTSUPP)
    result = _shrink(skb, at, size, flags) if shrinks else _grow(skb, at, size, flags)
    if result == 0 and flags & _NO_CSUM_RESET == 0:
        skb.checksum_level = 0
    return result

"""Helpers on a socket buffer that leave its layout alone: reading, writing, type, hash, time stamp.

The packet is linear here, so that "make it writable" is only a check of its length. Behaviour, limits and error
numbers are those that Linux 6.18 shows (``tests/stdlib/test_packet_skb.py`` compares, input by input).
"""

from __future__ import annotations

import errno

from skep.lang import (
    Ptr,
    big_endian,
    cast,
    function,
    i64,
    load_unaligned,
    memory_copy,
    memory_set,
    offset,
    rotate_left,
    u8,
    u16,
    u32,
    u64,
    unlikely,
)
from skep.memory.contexts import SkbContext
from skep.stdlib.registry import implements

_EFAULT = -errno.EFAULT
_EINVAL = -errno.EINVAL
_ENOMEM = -errno.ENOMEM
_EOPNOTSUPP = -errno.EOPNOTSUPP

_INT_MAX = 0x7FFFFFFF
_RECOMPUTE_CSUM = 1
_INVALIDATE_HASH = 2
_START_MAC = 0
_START_NET = 1
_LAST_PACKET_TYPE = 3
_CLOCK_REALTIME = 0
_CLOCK_TAI = 2
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD


@function(inline="always")
def protocol_of(skb: Ptr[SkbContext]) -> u16:
    """The protocol of the packet in the machine's byte order."""
    return big_endian(u16(skb.protocol))


@function(inline="always")
def holds(skb: Ptr[SkbContext], at: u32, size: u32) -> bool:
    """Whether ``size`` bytes at ``at`` lie in the packet."""
    return u64(at) + u64(size) <= u64(skb.len)


@function(inline="always")
def forget_hash(skb: Ptr[SkbContext]) -> None:
    """Make the packet's hash one that has to be computed again."""
    skb.hash = 0
    skb.hash_known = 0


@implements("bpf_skb_load_bytes")
@function(inline="always")
def skb_load_bytes(skb: Ptr[SkbContext], at: u32, to: Ptr[u8], size: u32) -> i64:
    """Copy bytes of the packet; on failure the destination is zeroed."""
    if unlikely(at > _INT_MAX or not holds(skb, at, size)):
        memory_set(to, 0, u64(size))
        return i64(_EFAULT)
    memory_copy(to, offset(skb.data, at), u64(size))
    return i64(0)


@implements("bpf_skb_load_bytes_relative")
@function(inline="always")
def skb_load_bytes_relative(skb: Ptr[SkbContext], at: u32, to: Ptr[u8], size: u32, start: u32) -> i64:
    """Copy bytes counted from the link-layer (0) or network header (1); on failure the destination is zeroed."""
    if at <= 0xFFFF and start <= _START_NET:
        header = skb.mac_header if start == _START_MAC else skb.network_header
        if u64(header) + u64(at) + u64(size) <= u64(skb.data_end):
            memory_copy(to, offset(header, at), u64(size))
            return i64(0)
    memory_set(to, 0, u64(size))
    return i64(_EFAULT)


@implements("bpf_skb_store_bytes")
@function(inline="always")
def skb_store_bytes(skb: Ptr[SkbContext], at: u32, source: Ptr[u8], size: u32, flags: u64) -> i64:
    """Overwrite bytes of the packet; nobody has summed it before, so that there is no checksum to keep right."""
    if unlikely(flags & ~u64(_RECOMPUTE_CSUM | _INVALIDATE_HASH) != 0):
        return i64(_EINVAL)
    if unlikely(at > _INT_MAX or not holds(skb, at, size)):
        return i64(_EFAULT)
    memory_copy(offset(skb.data, at), source, u64(size))
    if flags & _INVALIDATE_HASH != 0:
        forget_hash(skb)
    return i64(0)


@implements("bpf_skb_pull_data")
@function(inline="always")
def skb_pull_data(skb: Ptr[SkbContext], size: u32) -> i64:
    """Make the first ``size`` bytes directly accessible, which they are if the packet has them."""
    if unlikely(not holds(skb, 0, size)):
        return i64(_ENOMEM)
    return i64(0)


@implements("bpf_skb_change_type")
@function(inline="always")
def skb_change_type(skb: Ptr[SkbContext], packet_type: u32) -> i64:
    """Say whom the packet is for: this host, all, some, or another (PACKET_HOST to PACKET_OTHERHOST)."""
    if unlikely(packet_type > _LAST_PACKET_TYPE or skb.pkt_type > _LAST_PACKET_TYPE):
        return i64(_EINVAL)
    skb.pkt_type = packet_type
    return i64(0)


@implements("bpf_set_hash_invalid")
@function(inline="always")
def set_hash_invalid(skb: Ptr[SkbContext]) -> i64:
    """Make the packet's hash one that has to be computed again."""
    forget_hash(skb)
    return i64(0)


@implements("bpf_set_hash")
@function(inline="always")
def set_hash(skb: Ptr[SkbContext], value: u32) -> i64:
    """Set the packet's hash, which then holds."""
    skb.hash = value
    skb.hash_known = 1
    return i64(0)


@implements("bpf_skb_set_tstamp")
@function(inline="always")
def skb_set_tstamp(skb: Ptr[SkbContext], tstamp: u64, clock: u32) -> i64:
    """Set the time stamp of an IP packet and the clock it is of; only that of the wall clock may be zero."""
    protocol = protocol_of(skb)
    if unlikely(protocol != ETH_P_IP and protocol != ETH_P_IPV6):
        return i64(_EOPNOTSUPP)
    if unlikely(clock > _CLOCK_TAI or (clock != _CLOCK_REALTIME and tstamp == 0)):
        return i64(_EINVAL)
    skb.tstamp = tstamp
    skb.tstamp_type = clock
    return i64(0)


@function(inline="always")
def _mixed(state: u32, word: u32) -> u32:
    return rotate_left(state ^ (word * 0x9E3779B1), 13) * 5 + 0xE6546B64


@function(inline="never", cold=True)
def flow_hash(skb: Ptr[SkbContext]) -> u32:
    """A hash of protocol, addresses and ports, the same for both directions of a flow, never 0.

    The kernel's value depends on a secret of its own, so that no two machines agree on it either.
    """
    protocol = protocol_of(skb)
    network = skb.network_header
    size: u64 = 0
    if u64(skb.data_end) > u64(network):
        size = u64(skb.data_end) - u64(network)
    header: u64 = 0
    state: u32 = u32(protocol)
    transport: u8 = 0
    if protocol == ETH_P_IP and size >= 20:
        header = u64(network[0] & 15) * 4
        transport = network[9]
        state = _mixed(
            state,
            load_unaligned(cast(Ptr[u32], offset(network, 12))) ^ load_unaligned(cast(Ptr[u32], offset(network, 16))),
        )
    elif protocol == ETH_P_IPV6 and size >= 40:
        header = 40
        transport = network[6]
        for word in range(4):
            state = _mixed(
                state,
                load_unaligned(cast(Ptr[u32], offset(network, 8 + 4 * word)))
                ^ load_unaligned(cast(Ptr[u32], offset(network, 24 + 4 * word))),
            )
    state = _mixed(state, u32(transport))
    if (transport == 6 or transport == 17) and header != 0 and header + 4 <= size:
        ports = load_unaligned(cast(Ptr[u32], offset(network, header)))
        state = _mixed(state, (ports >> 16) ^ (ports & 0xFFFF))
    return state | 1


@implements("bpf_get_hash_recalc")
@function(inline="always")
def get_hash_recalc(skb: Ptr[SkbContext]) -> u32:
    """The packet's hash, computed if it does not hold."""
    if skb.hash_known == 0:
        skb.hash = flow_hash(skb)
        skb.hash_known = 1
    return skb.hash

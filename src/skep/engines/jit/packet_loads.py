"""Legacy packet loads (``ld_abs``, ``ld_ind``), written in ``skep.lang`` and linked into the program.

Positions below zero count from the network header or the link-layer header, as in classic BPF (SKF_NET_OFF and
SKF_LL_OFF).
"""

from __future__ import annotations

from skep.lang import Ptr, big_endian, cast, function, i32, i64, load_unaligned, offset, u8, u16, u32
from skep.memory.contexts import SkbContext

_FROM_NETWORK = -0x100000
_FROM_LINK = -0x200000


@function(inline="always")
def load(start: Ptr[u8], end: Ptr[u8], at: i64, size: u32) -> i64:
    """``size`` bytes (a constant) at ``start + at`` in network order, -1 if they do not lie before ``end``."""
    if at < 0 or i64(end) - i64(start) < at + i64(size):
        return i64(-1)
    place = offset(start, at)
    if size == 1:
        return i64(place[0])
    if size == 2:
        return i64(big_endian(load_unaligned(cast(Ptr[u16], place))))
    return i64(big_endian(load_unaligned(cast(Ptr[u32], place))))


@function(inline="always")
def load_skb(context: Ptr[SkbContext], at: i32, size: u32) -> i64:
    """``size`` bytes of the packet, -1 outside it."""
    start = context.data
    position = i64(at)
    if at < 0:
        if at >= i32(_FROM_NETWORK):
            start = context.network_header
            position -= i64(_FROM_NETWORK)
        else:
            start = context.mac_header
            position -= i64(_FROM_LINK)
    return load(start, context.data_end, position, size)

"""Helpers on an XDP frame: moving its ends and its metadata, and copying bytes in and out.

The frame is one piece of memory here, never in fragments. Behaviour, limits and error numbers are those that Linux
6.18 shows (``tests/stdlib/test_packet_xdp.py`` compares, input by input).
"""

from __future__ import annotations

import errno

from skep.lang import (
    Ptr,
    cast,
    function,
    i32,
    i64,
    memory_copy,
    memory_move,
    memory_set,
    offset,
    u8,
    u32,
    u64,
    unlikely,
)
from skep.memory.contexts import XdpContext
from skep.stdlib.registry import implements

_EACCES = -errno.EACCES
_EFAULT = -errno.EFAULT
_EINVAL = -errno.EINVAL

_ETHERNET_HEADER = 14
#: What stays at the start of a frame for the kernel's ``struct xdp_frame``.
_FRAME_HEADER = 40
#: Metadata is at most as long as 8 bits can say, in steps of 4.
_LONGEST_METADATA = 252
_LARGEST_OFFSET = 0xFFFF


@function(inline="always")
def _moved(address: Ptr[u8], delta: i32) -> i64:
    return i64(u64(address)) + i64(delta)


@implements("bpf_xdp_adjust_head")
@function(inline="always")
def xdp_adjust_head(xdp: Ptr[XdpContext], delta: i32) -> i64:
    """Move the start of the packet and the metadata before it; negative makes it longer."""
    data = _moved(xdp.data, delta)
    metadata = u64(xdp.data) - u64(xdp.data_meta)
    lowest = i64(u64(xdp.hard_start) + _FRAME_HEADER + metadata)
    if unlikely(data < lowest or data > i64(u64(xdp.data_end) - _ETHERNET_HEADER)):
        return i64(_EINVAL)
    meta = cast(Ptr[u8], u64(data) - metadata)
    if metadata != 0:
        memory_move(meta, xdp.data_meta, metadata)
    xdp.data_meta = meta
    xdp.data = cast(Ptr[u8], u64(data))
    return i64(0)


@implements("bpf_xdp_adjust_meta")
@function(inline="always")
def xdp_adjust_meta(xdp: Ptr[XdpContext], delta: i32) -> i64:
    """Move the start of the metadata; negative makes room for more."""
    meta = _moved(xdp.data_meta, delta)
    if unlikely(meta < i64(u64(xdp.hard_start) + _FRAME_HEADER) or meta > i64(u64(xdp.data))):
        return i64(_EINVAL)
    size = u64(xdp.data) - u64(meta)
    if unlikely(size & 3 != 0 or size > _LONGEST_METADATA):
        return i64(_EACCES)
    xdp.data_meta = cast(Ptr[u8], u64(meta))
    return i64(0)


@implements("bpf_xdp_adjust_tail")
@function(inline="always")
def xdp_adjust_tail(xdp: Ptr[XdpContext], delta: i32) -> i64:
    """Move the end of the packet; what it grows by is zeroed."""
    end = _moved(xdp.data_end, delta)
    if unlikely(end > i64(u64(xdp.hard_end)) or end < i64(u64(xdp.data) + _ETHERNET_HEADER)):
        return i64(_EINVAL)
    if delta > 0:
        memory_set(xdp.data_end, 0, u64(delta))
    xdp.data_end = cast(Ptr[u8], u64(end))
    return i64(0)


@implements("bpf_xdp_get_buff_len")
@function(inline="always")
def xdp_get_buff_len(xdp: Ptr[XdpContext]) -> u64:
    """The length of the packet in bytes."""
    return u64(xdp.data_end) - u64(xdp.data)


@function(inline="always")
def _refusal(xdp: Ptr[XdpContext], at: u32, size: u32) -> i64:
    if unlikely(at > _LARGEST_OFFSET or size > _LARGEST_OFFSET):
        return i64(_EFAULT)
    if unlikely(u64(at) + u64(size) > xdp_get_buff_len(xdp)):
        return i64(_EINVAL)
    return i64(0)


@implements("bpf_xdp_load_bytes")
@function(inline="always")
def xdp_load_bytes(xdp: Ptr[XdpContext], at: u32, to: Ptr[u8], size: u32) -> i64:
    """Copy bytes of the packet; on failure the destination stays as it is."""
    refusal = _refusal(xdp, at, size)
    if unlikely(refusal != 0):
        return refusal
    memory_copy(to, offset(xdp.data, at), u64(size))
    return i64(0)


@implements("bpf_xdp_store_bytes")
@function(inline="always")
def xdp_store_bytes(xdp: Ptr[XdpContext], at: u32, source: Ptr[u8], size: u32) -> i64:
    """Overwrite bytes of the packet."""
    refusal = _refusal(xdp, at, size)
    if unlikely(refusal != 0):
        return refusal
    memory_copy(offset(xdp.data, at), source, u64(size))
    return i64(0)

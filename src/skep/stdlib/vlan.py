"""VLAN tags: the outermost one lies beside the packet, as a device that understands tags has it, others inside.

Behaviour and error numbers are those that Linux 6.18 shows (``tests/stdlib/test_packet_room.py`` compares).
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
    memory_move,
    offset,
    store_unaligned,
    u16,
    u32,
    u64,
    unlikely,
)
from skep.memory.contexts import SkbContext
from skep.stdlib.registry import implements
from skep.stdlib.skb import protocol_of
from skep.stdlib.skb_room import has_headroom, settle

_ENOMEM = -errno.ENOMEM
_ETH_P_8021Q = 0x8100
_ETH_P_8021AD = 0x88A8
_ETH_P_802_3 = 0x0001
_ETH_P_802_2 = 0x0004
_FIRST_PROTOCOL = 0x0600
_ADDRESSES = 12
_ETHERNET_HEADER = 14
_TAG = 4


@function(inline="always")
def _is_vlan(protocol: u16) -> bool:
    if protocol == _ETH_P_8021Q:
        return True
    return protocol == _ETH_P_8021AD


@function(inline="always")
def _insert_tag(skb: Ptr[SkbContext]) -> bool:
    if unlikely(not has_headroom(skb, _TAG)):
        return False
    data = offset(skb.data, -u64(_TAG))
    memory_move(data, skb.data, _ADDRESSES)
    skb.data = data
    skb.mac_header = offset(skb.mac_header, -u64(_TAG))
    # The network header stays 14 bytes behind the link layer's: at the tag.
    skb.network_header = offset(skb.network_header, -u64(_TAG))
    store_unaligned(cast(Ptr[u16], offset(data, _ADDRESSES)), u16(skb.vlan_proto))
    store_unaligned(cast(Ptr[u16], offset(data, _ADDRESSES + 2)), big_endian(u16(skb.vlan_tci)))
    skb.protocol = skb.vlan_proto
    settle(skb)
    return True


@function(inline="always")
def _set_tag(skb: Ptr[SkbContext], protocol: u16, tci: u16) -> None:
    """Keep a tag beside the packet; the protocol in network byte order."""
    skb.vlan_proto = u32(protocol)
    skb.vlan_tci = u32(tci)
    skb.vlan_present = 1


@implements("bpf_skb_vlan_push")
@function(inline="never")
def skb_vlan_push(skb: Ptr[SkbContext], protocol: u16, tci: u16) -> i64:
    """Add an outermost tag; the one that was it moves into the packet. ``protocol`` is in network byte order."""
    if skb.vlan_present != 0 and not _insert_tag(skb):
        return i64(_ENOMEM)
    kept = protocol if _is_vlan(big_endian(protocol)) else big_endian(u16(_ETH_P_8021Q))
    _set_tag(skb, kept, tci)
    return i64(0)


@function(inline="always")
def _remove_tag(skb: Ptr[SkbContext]) -> bool:
    if unlikely(skb.len < _ETHERNET_HEADER + _TAG):
        return False
    inner = load_unaligned(cast(Ptr[u16], offset(skb.data, _ETHERNET_HEADER + 2)))
    if big_endian(inner) < _FIRST_PROTOCOL:
        # A frame with a length in place of a protocol: the kernel tells two kinds apart by the two bytes behind.
        behind = load_unaligned(cast(Ptr[u16], offset(skb.data, _ETHERNET_HEADER + _TAG)))
        inner = big_endian(u16(_ETH_P_802_3)) if behind == 0xFFFF else big_endian(u16(_ETH_P_802_2))
    skb.protocol = u32(inner)
    data = offset(skb.data, _TAG)
    memory_move(data, skb.data, _ADDRESSES)
    skb.data = data
    skb.mac_header = offset(skb.mac_header, _TAG)
    if u64(skb.network_header) < u64(offset(data, _ETHERNET_HEADER)):
        skb.network_header = offset(data, _ETHERNET_HEADER)
    settle(skb)
    return True


@implements("bpf_skb_vlan_pop")
@function(inline="never")
def skb_vlan_pop(skb: Ptr[SkbContext]) -> i64:
    """Take the outermost tag away; the next one in the packet, if any, then lies beside it."""
    if skb.vlan_present != 0:
        skb.vlan_present = 0
        skb.vlan_proto = 0
        skb.vlan_tci = 0
    else:
        if not _is_vlan(protocol_of(skb)):
            return i64(0)
        if not _remove_tag(skb):
            return i64(_ENOMEM)
    if not _is_vlan(protocol_of(skb)):
        return i64(0)
    protocol = u16(skb.protocol)
    tci: u16 = 0
    if skb.len >= _ETHERNET_HEADER + _TAG:
        tci = big_endian(load_unaligned(cast(Ptr[u16], offset(skb.data, _ETHERNET_HEADER))))
    if not _remove_tag(skb):
        return i64(_ENOMEM)
    _set_tag(skb, protocol, tci)
    return i64(0)

"""Redirects: a helper notes on the CPU where the packet is to go, and the program returns the action it was given.

Nothing is sent here; the machine reads the note (``Cpu.redirect_…``) after the run. Source: the user-space
interface, and Linux 6.18 (``tests/stdlib/test_packet_redirect.py`` compares return values).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from skep.lang import (
    Function,
    Ptr,
    address_of,
    cast,
    function,
    i64,
    load_unaligned,
    null,
    scratch,
    u8,
    u32,
    u64,
    unlikely,
)
from skep.maps import functions
from skep.maps.layout import MapHead
from skep.memory.cpu import Cpu
from skep.objects.kinds import MapType, ProgramType
from skep.stdlib.registry import CallSite, implements


class RedirectKind(IntEnum):
    """What ``Cpu.redirect_kind`` says: the note is empty, or the packet goes to …"""

    NONE = 0
    #: the device of ``redirect_ifindex`` (``redirect_flags`` 1: its receiving side),
    INTERFACE = 1
    #: the peer of that device in another network namespace,
    PEER = 2
    #: that device, whose neighbour table gives the link-layer address,
    NEIGHBOUR = 3
    #: the entry ``redirect_key`` of ``redirect_map``, whose value is ``redirect_value``,
    MAP_ENTRY = 4
    #: every entry of ``redirect_map``.
    EVERY_ENTRY = 5


_NONE = int(RedirectKind.NONE)
_INTERFACE = int(RedirectKind.INTERFACE)
_PEER = int(RedirectKind.PEER)
_NEIGHBOUR = int(RedirectKind.NEIGHBOUR)
_MAP_ENTRY = int(RedirectKind.MAP_ENTRY)
_EVERY_ENTRY = int(RedirectKind.EVERY_ENTRY)

_TC_ACT_SHOT = 2
_TC_ACT_REDIRECT = 7
_XDP_ABORTED = 0
_XDP_REDIRECT = 4
_INGRESS = 1
#: The actions that a failed lookup may return, in the lowest flag bits.
_ACTIONS = 3
_BROADCAST = 1 << 3
_EXCLUDE_INGRESS = 1 << 4
_NEIGHBOUR_PARAMETERS = 20
_DEVMAP = int(MapType.DEVMAP)
_DEVMAP_HASH = int(MapType.DEVMAP_HASH)


@function(inline="always")
def _note(cpu: Ptr[Cpu], kind: u32, ifindex: u32, flags: u64) -> None:
    cpu.redirect_kind = kind
    cpu.redirect_ifindex = ifindex
    cpu.redirect_flags = flags
    cpu.redirect_map = null(u8)


@function(inline="always")
def redirect_skb(cpu: Ptr[Cpu], ifindex: u32, flags: u64) -> i64:
    """Send the packet out of a device, or (flag 1) have the device receive it."""
    if unlikely(flags & ~u64(_INGRESS) != 0):
        return i64(_TC_ACT_SHOT)
    _note(cpu, u32(_INTERFACE), ifindex, flags)
    return i64(_TC_ACT_REDIRECT)


@function(inline="always")
def redirect_xdp(cpu: Ptr[Cpu], ifindex: u32, flags: u64) -> i64:
    """Send the frame out of a device; no flags are known."""
    if unlikely(flags != 0):
        return i64(_XDP_ABORTED)
    _note(cpu, u32(_INTERFACE), ifindex, flags)
    return i64(_XDP_REDIRECT)


@implements("bpf_redirect")
def redirect(site: CallSite) -> Function[..., Any]:
    """The one of the two that the program type has."""
    return redirect_xdp if site.program_type is ProgramType.XDP else redirect_skb


@implements("bpf_redirect_peer")
@function(inline="always")
def redirect_peer(cpu: Ptr[Cpu], ifindex: u32, flags: u64) -> i64:
    """Have the peer of a device in another namespace receive the packet."""
    if unlikely(flags != 0):
        return i64(_TC_ACT_SHOT)
    _note(cpu, u32(_PEER), ifindex, flags)
    return i64(_TC_ACT_REDIRECT)


@implements("bpf_redirect_neigh")
@function(inline="always")
def redirect_neigh(cpu: Ptr[Cpu], ifindex: u32, parameters: Ptr[u8], size: u32, flags: u64) -> i64:
    """Send the packet out of a device to a neighbour: that of the route, or the one given."""
    if unlikely(flags != 0 or (size != 0 and size < _NEIGHBOUR_PARAMETERS)):
        return i64(_TC_ACT_SHOT)
    _note(cpu, u32(_NEIGHBOUR), ifindex, flags)
    return i64(_TC_ACT_REDIRECT)


@implements("bpf_redirect_map")
@function(inline="always")
def redirect_map(cpu: Ptr[Cpu], map: Ptr[MapHead], key: u64, flags: u64) -> i64:
    """Send the frame to an entry of a map; where there is none, return the action in the lowest bits of ``flags``."""
    allowed: u64 = _ACTIONS
    if map.type == _DEVMAP or map.type == _DEVMAP_HASH:
        allowed = _ACTIONS | _BROADCAST | _EXCLUDE_INGRESS
    if unlikely(flags & ~allowed != 0):
        return i64(_XDP_ABORTED)
    index = scratch(u32, 1)
    index[0] = u32(key)
    found = functions.lookup_any(cpu, map, cast(Ptr[u8], address_of(index)))
    if unlikely(not found and flags & _BROADCAST == 0):
        _note(cpu, u32(_NONE), 0, 0)
        return i64(flags & _ACTIONS)
    cpu.redirect_flags = flags
    cpu.redirect_map = cast(Ptr[u8], map)
    cpu.redirect_key = key
    if flags & _BROADCAST != 0:
        cpu.redirect_kind = _EVERY_ENTRY
        return i64(_XDP_REDIRECT)
    cpu.redirect_kind = _MAP_ENTRY
    cpu.redirect_value = (
        load_unaligned(cast(Ptr[u64], found)) if map.value_size >= 8 else u64(load_unaligned(cast(Ptr[u32], found)))
    )
    return i64(_XDP_REDIRECT)

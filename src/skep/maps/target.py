"""Maps of redirect targets: interfaces, CPUs and sockets by index. A slot may be empty.

What a program may do with them is redirect to an entry, and look whether there is one. A slot has 16 bytes: the
value as user space stored it (the number of an interface, a queue length, a socket) and behind it whether there is
one.
"""

from __future__ import annotations

from skep.lang import Ptr, cast, function, null, offset, u8, u32
from skep.maps import array
from skep.maps.layout import MapHead

#: Bytes of a slot, and where in it stands whether it is filled.
SLOT_SIZE = 16
FILLED_OFFSET = 8

_lookup_slot = array.lookup


@function(inline="always")
def lookup(values: Ptr[u8], map: Ptr[MapHead], key: Ptr[u32], max_entries: u32) -> Ptr[u8]:
    """The address of the value in a filled slot, else null."""
    slot = _lookup_slot(values, map, key, max_entries, u32(SLOT_SIZE))
    if slot:
        filled = cast(Ptr[u32], offset(slot, FILLED_OFFSET))
        if filled[0] != 0:
            return slot
    return null(u8)

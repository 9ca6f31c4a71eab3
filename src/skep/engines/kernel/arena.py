"""Memory of an arena from this side: an arena has no elements, it is written by mapping it.

An arena lies at one address for all who map it, which its definition may choose (``map_extra``); Python's own
``mmap`` takes no address, hence the C library's.
"""

from __future__ import annotations

import ctypes
import mmap
import os

from skep.engines.kernel.maps import KernelMap
from skep.errors import KernelError

#: Fail instead of replacing what this process has at that address.
_FIXED_NO_REPLACE = 0x100000


def fill_arena(map: KernelMap, contents: bytes) -> None:
    """Give an arena its address and put ``contents`` at its start; raises KernelError if it cannot be mapped."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
    library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    size = map.spec.max_entries * mmap.PAGESIZE
    wanted = map.spec.map_extra
    flags = mmap.MAP_SHARED | (_FIXED_NO_REPLACE if wanted else 0)
    address = library.mmap(wanted or None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, map.fileno(), 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise KernelError(f"mapping arena {map.spec.name!r}: {os.strerror(number)}", errno=number)
    ctypes.memmove(address, contents, min(len(contents), size))
    library.munmap(address, size)

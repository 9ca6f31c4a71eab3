"""Copying values: all of one, or all but its spin lock, whose four bytes no copy may touch.

``size`` and ``lock_offset`` are constants wherever the map is known, so that a copy is a few moves and the branch is
gone.
"""

from __future__ import annotations

from skep.lang import Fn, Ptr, cast, function, memory_copy, memory_set, offset, u8, u32
from skep.maps.layout import NO_LOCK

LOCK_BYTES = 4

#: A function that takes or gives back the lock at an address.
LockFunction = Fn[[Ptr[u32]], None]


@function(inline="always")
def copy_value(destination: Ptr[u8], source: Ptr[u8], size: u32, lock_offset: u32) -> None:
    """Copy a value, leaving the lock in ``destination`` as it is."""
    if lock_offset == NO_LOCK:
        memory_copy(destination, source, size)
    else:
        memory_copy(destination, source, lock_offset)
        rest = lock_offset + LOCK_BYTES
        memory_copy(offset(destination, rest), offset(source, rest), size - rest)


@function(inline="always")
def new_value(destination: Ptr[u8], source: Ptr[u8], size: u32, lock_offset: u32) -> None:
    """Fill a value that nobody sees yet: a copy with a free lock."""
    copy_value(destination, source, size, lock_offset)
    if lock_offset != NO_LOCK:
        memory_set(offset(destination, lock_offset), 0, LOCK_BYTES)


@function(inline="always")
def copy_value_locked(
    destination: Ptr[u8],
    source: Ptr[u8],
    size: u32,
    lock_offset: u32,
    held: Ptr[u8],
    acquire: LockFunction,
    release: LockFunction,
) -> None:
    """Copy a value while the lock of ``held``, one of the two, is held."""
    word = cast(Ptr[u32], offset(held, lock_offset))
    acquire(word)
    copy_value(destination, source, size, lock_offset)
    release(word)
